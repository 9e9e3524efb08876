"""Directions and motion classes: accuracy of the sign of a command, beside its size.

Signs of three velocities, 0 within a dead band, give 27 classes with different names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mobile_vla.config.evaluation import DeadBand
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.evaluation.result import DirectionAccuracy, MotionConfusion, StopDetection

ALONG = {1: "forward", 0: "", -1: "backward"}
ASIDE = {1: "left", 0: "", -1: "right"}  # linear_y points left
TURN = {1: "turning left", 0: "", -1: "turning right"}
SIGNS = tuple(itertools.product((-1, 0, 1), repeat=len(ACTION_COLUMNS)))


def name_of(signs: tuple[int, ...]) -> str:
    """Return the name of the class of three signs, such as ``forward left`` or ``stop``."""
    translation = " ".join(filter(None, (ALONG[signs[0]], ASIDE[signs[1]])))
    return ", ".join(filter(None, (translation, TURN[signs[2]]))) or "stop"


CLASSES = tuple(name_of(signs) for signs in SIGNS)
"""All names; the class of signs (x, y, z) stands at 9 (x + 1) + 3 (y + 1) + (z + 1)."""
STOP = CLASSES.index("stop")


def signs_of(actions: np.ndarray, dimensions: Sequence[str], band: DeadBand) -> np.ndarray:
    """Return the sign of each velocity, (S, A) in {−1, 0, 1}; within the dead band it is 0."""
    width = np.array([getattr(band, name) for name in dimensions])
    return (np.sign(actions) * (np.abs(actions) > width)).astype(np.int64)


def classes_of(signs: np.ndarray, dimensions: Sequence[str]) -> np.ndarray:
    """Return the index in :data:`CLASSES` of each step, (S,); what is not predicted is 0."""
    classes = np.full(len(signs), STOP)
    for column, name in enumerate(dimensions):
        classes += signs[:, column] * 3 ** (len(ACTION_COLUMNS) - 1 - ACTION_COLUMNS.index(name))
    return classes


def direction(
    predicted: np.ndarray, true: np.ndarray, dimensions: Sequence[str]
) -> dict[str, DirectionAccuracy]:
    """Return how often the sign is right, by dimension; both arguments are signs (S, A)."""
    accuracies = {}
    for column, name in enumerate(dimensions):
        right, moves = predicted[:, column] == true[:, column], true[:, column] != 0
        accuracies[name] = DirectionAccuracy(
            with_zeros=_share(right.sum(), len(right)),
            steps=len(right),
            without_zeros=_share(right[moves].sum(), moves.sum()),
            steps_without_zeros=int(moves.sum()),
        )
    return accuracies


def agreement(predicted: np.ndarray, true: np.ndarray) -> float | None:
    """Return how often the sign is right where the true command is not 0; signs (S, A) both."""
    moves = true != 0
    return _share((predicted == true)[moves].sum(), moves.sum())


def motion(predicted: np.ndarray, true: np.ndarray) -> MotionConfusion:
    """Return the confusion of motion classes, with accuracy, F1, and precision and recall of stop.

    Both arguments are (S,) indices in :data:`CLASSES`. A class that is never predicted or never
    true has an F1 of 0 (as scikit-learn with ``zero_division=0``).
    """
    whole = np.bincount(true * len(CLASSES) + predicted, minlength=len(CLASSES) ** 2)
    whole = whole.reshape(len(CLASSES), len(CLASSES))
    kept = np.flatnonzero(whole.any(axis=0) | whole.any(axis=1))
    table = whole[np.ix_(kept, kept)]
    hits = np.diag(table)
    f1 = 2 * hits / (table.sum(axis=0) + table.sum(axis=1))  # a class that occurs has a sum above 0
    stop_hits = whole[STOP, STOP]
    stop_predicted, stop_true = whole[:, STOP].sum(), whole[STOP].sum()
    return MotionConfusion(
        classes=[CLASSES[index] for index in kept],
        confusion=table.tolist(),
        accuracy=float(hits.sum() / table.sum()),
        macro_f1=float(f1.mean()),
        f1=dict(zip((CLASSES[index] for index in kept), f1.tolist(), strict=True)),
        stop=StopDetection(
            precision=_share(stop_hits, stop_predicted),
            predicted_steps=int(stop_predicted),
            recall=_share(stop_hits, stop_true),
            true_steps=int(stop_true),
        ),
    )


def _share(part: int, whole: int) -> float | None:
    """Return part / whole; None where there is no whole."""
    return float(part / whole) if whole else None

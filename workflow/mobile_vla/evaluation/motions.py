"""Directions and motion classes: what a command means, beside how large it is.

A class is the sign of each velocity, with a dead band around 0: three signs of three velocities
give 27 classes, each with a name of its own, so that no two kinds of motion fall into one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mobile_vla.config.evaluation import DeadBand
from mobile_vla.conventions import ACTION_COLUMNS

ALONG = {1: "forward", 0: "", -1: "backward"}
ASIDE = {1: "left", 0: "", -1: "right"}  # linear_y points left
TURN = {1: "turning left", 0: "", -1: "turning right"}
SIGNS = tuple(itertools.product((-1, 0, 1), repeat=len(ACTION_COLUMNS)))


def name_of(signs: tuple[int, ...]) -> str:
    """Return the name of a class, such as ``forward left`` or ``stop``.

    Args:
        signs: of linear_x, linear_y and angular_z.
    """
    way = " ".join(filter(None, (ALONG[signs[0]], ASIDE[signs[1]])))
    return ", ".join(filter(None, (way, TURN[signs[2]]))) or "stop"


CLASSES = tuple(name_of(signs) for signs in SIGNS)
"""All names; the class of signs (x, y, z) stands at 9 (x + 1) + 3 (y + 1) + (z + 1)."""
STOP = CLASSES.index("stop")


def signs_of(actions: np.ndarray, dimensions: Sequence[str], band: DeadBand) -> np.ndarray:
    """Return the sign of each velocity, (S, A) in {−1, 0, 1}; within the dead band it is 0.

    Args:
        actions: (S, A) in raw command units.
        dimensions: names of the A dimensions.
        band: the largest absolute value of each dimension that counts as 0.
    """
    width = np.array([getattr(band, name) for name in dimensions])
    return (np.sign(actions) * (np.abs(actions) > width)).astype(np.int64)


def classes_of(signs: np.ndarray, dimensions: Sequence[str]) -> np.ndarray:
    """Return the index in :data:`CLASSES` of each step, (S,); what is not predicted is 0.

    Args:
        signs: (S, A) in {−1, 0, 1}.
        dimensions: names of the A dimensions.
    """
    found = np.full(len(signs), STOP)
    for column, name in enumerate(dimensions):
        found += signs[:, column] * 3 ** (len(ACTION_COLUMNS) - 1 - ACTION_COLUMNS.index(name))
    return found


def direction(
    predicted: np.ndarray, true: np.ndarray, dimensions: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return how often the sign is right, for each dimension.

    Args:
        predicted: (S, A) signs.
        true: (S, A) signs.
        dimensions: names of the A dimensions.

    Returns:
        ``{DIMENSION: {"with_zeros", "steps", "without_zeros", "steps_without_zeros"}}``: the share
        over all steps, and over those whose true command is not 0; null without such a step.
    """
    found = {}
    for column, name in enumerate(dimensions):
        right, moves = predicted[:, column] == true[:, column], true[:, column] != 0
        found[name] = {
            "with_zeros": share(right.sum(), len(right)),
            "steps": len(right),
            "without_zeros": share(right[moves].sum(), moves.sum()),
            "steps_without_zeros": int(moves.sum()),
        }
    return found


def motion(predicted: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Return the confusion of motion classes, and what follows from it.

    Args:
        predicted: (S,) indices in :data:`CLASSES`.
        true: (S,) indices in :data:`CLASSES`.

    Returns:
        ``classes``: those that occur; ``confusion``: a row for each true class, a column for each
        predicted one, in steps; ``accuracy``; ``macro_f1``: the mean of the classes' F1, 0 for a
        class that is never predicted or never true (as scikit-learn with ``zero_division=0``);
        ``f1`` of each class; ``stop``: its precision and recall, null where it is never predicted
        or never true, with both denominators.
    """
    whole = np.bincount(true * len(CLASSES) + predicted, minlength=len(CLASSES) ** 2)
    whole = whole.reshape(len(CLASSES), len(CLASSES))
    kept = np.flatnonzero(whole.any(axis=0) | whole.any(axis=1))
    table = whole[np.ix_(kept, kept)]
    hits, said, there = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    f1 = 2 * hits / (said + there)  # one of the two is above 0
    stop_hits, stop_said = whole[STOP, STOP], whole[:, STOP].sum()
    stop_there = whole[STOP].sum()
    return {
        "classes": [CLASSES[index] for index in kept],
        "confusion": table.tolist(),
        "accuracy": share(hits.sum(), table.sum()),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip((CLASSES[index] for index in kept), f1.tolist(), strict=True)),
        "stop": {
            "precision": share(stop_hits, stop_said),
            "predicted_steps": int(stop_said),
            "recall": share(stop_hits, stop_there),
            "true_steps": int(stop_there),
        },
    }


def share(part: Any, whole: Any) -> float | None:
    """Return part / whole; None of nothing."""
    return float(part / whole) if whole else None

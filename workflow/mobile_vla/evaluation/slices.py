"""Errors of parts of the scored steps: by horizon step, by frame, by cell, and critical ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobile_vla.evaluation.metrics import errors_by, sums_by
from mobile_vla.evaluation.motions import STOP
from mobile_vla.evaluation.steps import Scored, Steps
from mobile_vla.evaluation.trajectories import Stitched

Predictions = Mapping[str, np.ndarray]
"""By name (``policy`` is the first), (S, A) in raw command units."""


def by_step(scored: Scored, predictions: Predictions) -> list[dict[str, Any]]:
    """Return the errors at each step of the chunk; ``step`` counts from 1."""
    labels = [{"step": index + 1} for index in range(scored.mask.shape[1])]
    return parts(scored, predictions, scored.steps.step, labels)


def by_frame(scored: Scored, predictions: Predictions) -> list[dict[str, Any]]:
    """Return the errors at each frame of the episode, from the first that is predicted."""
    frame = scored.steps.frame
    labels = [{"frame": index} for index in range(int(frame.max()) + 1)]
    return parts(scored, predictions, frame, labels)


def by_keys(scored: Scored, predictions: Predictions, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return the errors in each cell, that is combination of some keys of the scenario."""
    cells = [tuple(scenario.get(key) for key in keys) for scenario in scored.scenarios]
    order = sorted(set(cells), key=lambda cell: [(value is None, value or "") for value in cell])
    place = np.array([order.index(cell) for cell in cells])
    labels = [{"cell": dict(zip(keys, cell, strict=True))} for cell in order]
    return parts(scored, predictions, place[scored.steps.episode], labels)


def chosen(
    scored: Scored, predictions: Predictions, choices: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Return the errors over the steps of each choice, by its name; null where there is none.

    Args:
        scored: the windows.
        predictions: the predictions.
        choices: by name, (S,) bool.
    """
    found: dict[str, Any] = {}
    for name, kept in choices.items():
        group = np.where(kept, 0, 1)
        labels: list[dict[str, Any]] = [{}, {}]
        every = parts(scored, predictions, group, labels)
        found[name] = every[0] if kept.any() else None
    return found


def choices_of(steps: Steps, classes: np.ndarray, stitched: Stitched) -> dict[str, np.ndarray]:
    """Return which steps are the first of their chunk, not of frame 0, or critical.

    Critical are turns (a sideways or turning command), stops, and changes (a frame whose motion
    class is not that of the frame before): there a robot that replays or averages goes wrong.

    Args:
        steps: the S steps.
        classes: (S,) true motion class of each.
        stitched: one step for each frame of each episode.
    """
    # A class is 9 (x + 1) + 3 (y + 1) + (z + 1) of the signs; 4 is y = z = 0.
    turns = classes % 9 != 4
    frames = int(steps.frame.max()) + 1
    known = np.full((int(steps.episode.max()) + 1, frames + 1), -1)  # by frame + 1
    index = stitched.index
    known[steps.episode[index], steps.frame[index] + 1] = classes[index]
    before = known[steps.episode, steps.frame]
    return {
        "first_step": steps.step == 0,
        "without_frame_0": steps.frame > 0,
        "turns": turns,
        "stops": classes == STOP,
        "changes": (before >= 0) & (before != classes),
    }


def parts(
    scored: Scored, predictions: Predictions, group: np.ndarray, labels: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return each group's label, denominators, the policy's errors and all others' MAE.

    Args:
        scored: the windows.
        predictions: the predictions; the first is the policy's.
        group: (S,) index in ``labels``.
        labels: what to call each group; those without a step are left out.
    """
    steps = scored.steps
    there, place = np.unique(group, return_inverse=True)
    count = len(there)
    name, policy = next(iter(predictions.items()))
    own = errors_by(policy, steps.truth, place, count, scored.dimensions)
    number = np.bincount(place, minlength=count)
    others = {
        other: sums_by(np.abs(values - steps.truth), place, count).mean(axis=1) / number
        for other, values in predictions.items()
        if other != name
    }
    windows = _distinct(place, steps.window, count)
    episodes = _distinct(place, steps.episode, count)
    return [
        {
            **labels[index],
            "episodes": int(episodes[g]),
            "windows": int(windows[g]),
            "steps": int(number[g]),
            "policy": own[g],
            "mae": {other: float(values[g]) for other, values in others.items()},
        }
        for g, index in enumerate(there.tolist())
    ]


def _distinct(group: np.ndarray, value: np.ndarray, count: int) -> np.ndarray:
    """Return how many distinct values each group has, (count,)."""
    pairs = np.unique(group * (int(value.max()) + 1) + value)
    return np.bincount(pairs // (int(value.max()) + 1), minlength=count)

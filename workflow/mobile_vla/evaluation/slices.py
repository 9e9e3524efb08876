"""Errors over slices of the scored steps: by horizon step, frame and cell, and critical steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mobile_vla.evaluation.metrics import errors_by, sums_by
from mobile_vla.evaluation.motions import STOP
from mobile_vla.evaluation.result import POLICY, Slice
from mobile_vla.evaluation.scored_windows import ScoredSteps, ScoredWindows
from mobile_vla.evaluation.trajectories import ExecutedSteps

Flat = dict[str, np.ndarray]
"""By predictor (``policy``, then the baselines), the scored steps (S, A) in command units."""


def by_step(windows: ScoredWindows, flat: Flat) -> list[Slice]:
    """Return the errors at each step of the chunk; ``step`` counts from 1."""
    groups = slices(windows, flat, windows.steps.step)
    return [part.model_copy(update={"step": step + 1}) for step, part in groups.items()]


def by_frame(windows: ScoredWindows, flat: Flat) -> list[Slice]:
    """Return the errors at each frame of the episode, from the first that is predicted."""
    groups = slices(windows, flat, windows.steps.frame)
    return [part.model_copy(update={"frame": frame}) for frame, part in groups.items()]


def by_cell(windows: ScoredWindows, flat: Flat, keys: Sequence[str]) -> list[Slice]:
    """Return the errors in each cell, that is combination of some keys of the scenario."""
    cells = [tuple(scenario.get(key) for key in keys) for scenario in windows.scenarios]
    order = sorted(set(cells), key=lambda cell: [(value is None, value or "") for value in cell])
    place = np.array([order.index(cell) for cell in cells])
    groups = slices(windows, flat, place[windows.steps.episode])
    return [
        part.model_copy(update={"cell": dict(zip(keys, order[index], strict=True))})
        for index, part in groups.items()
    ]


def of_choices(
    windows: ScoredWindows, flat: Flat, choices: Mapping[str, np.ndarray]
) -> dict[str, Slice | None]:
    """Return the errors over the steps that each (S,) choice names; None where there is none."""
    return {
        name: slices(windows, flat, kept.astype(np.int64)).get(1) for name, kept in choices.items()
    }


def choices_of(
    steps: ScoredSteps, classes: np.ndarray, executed: ExecutedSteps
) -> dict[str, np.ndarray]:
    """Return which steps are the first of their chunk, not of frame 0, or critical.

    Critical are turns (a sideways or turning command), stops, and changes (a frame whose motion
    class is not that of the frame before): there a robot that replays or averages goes wrong.
    ``classes`` are the true motion classes, (S,).
    """
    frames = int(steps.frame.max()) + 1
    known = np.full((int(steps.episode.max()) + 1, frames + 1), -1)  # by frame + 1
    index = executed.index
    known[steps.episode[index], steps.frame[index] + 1] = classes[index]
    before = known[steps.episode, steps.frame]
    return {
        "first_step": steps.step == 0,
        "without_frame_0": steps.frame > 0,
        # A class is 9 (x + 1) + 3 (y + 1) + (z + 1) of the signs; 4 is y = z = 0.
        "turns": classes % 9 != 4,
        "stops": classes == STOP,
        "changes": (before >= 0) & (before != classes),
    }


def slices(windows: ScoredWindows, flat: Flat, group: np.ndarray) -> dict[int, Slice]:
    """Return the policy's errors and all baselines' MAE by group of steps (S,), in rising order."""
    steps = windows.steps
    groups, place = np.unique(group, return_inverse=True)
    count = len(groups)
    policy = errors_by(flat[POLICY], steps.truth, place, count, windows.dimensions)
    number = np.bincount(place, minlength=count)
    baselines = {
        name: sums_by(np.abs(values - steps.truth), place, count).mean(axis=1) / number
        for name, values in flat.items()
        if name != POLICY
    }
    distinct_windows = _distinct(place, steps.window, count)
    distinct_episodes = _distinct(place, steps.episode, count)
    return {
        index: Slice(
            episodes=int(distinct_episodes[g]),
            windows=int(distinct_windows[g]),
            steps=int(number[g]),
            policy=policy[g],
            mae={name: float(values[g]) for name, values in baselines.items()},
        )
        for g, index in enumerate(groups.tolist())
    }


def _distinct(group: np.ndarray, value: np.ndarray, count: int) -> np.ndarray:
    """Return how many distinct values each group has, (count,)."""
    pairs = np.unique(group * (int(value.max()) + 1) + value)
    return np.bincount(pairs // (int(value.max()) + 1), minlength=count)

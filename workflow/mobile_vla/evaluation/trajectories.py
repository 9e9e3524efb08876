"""Trajectory integration, and average and final displacement errors (ADE, FDE), open-loop.

Lengths are in command steps, no metres: a recorded command of 1, held for the one frame of each
command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.evaluation.result import Displacement
from mobile_vla.evaluation.scored_windows import ScoredWindows


@dataclass(frozen=True, eq=False)
class ExecutedSteps:
    """The F steps that a robot would execute: for each frame of an episode the last prediction."""

    index: np.ndarray  # (F,) index in `ScoredWindows.steps`; episode by episode, in time
    episode: np.ndarray  # (F,)
    frame: np.ndarray  # (F,)

    def episodes(self) -> list[np.ndarray]:
        """Return the steps of each episode that has any, in their order."""
        return np.split(self.index, np.flatnonzero(np.diff(self.episode)) + 1)

    def segments(self, chosen: np.ndarray) -> list[np.ndarray]:
        """Return the steps of each longest run of neighbouring frames that are all chosen (S,)."""
        kept = np.flatnonzero(chosen[self.index])  # places among the F frames
        same = (np.diff(self.episode[kept]) == 0) & (np.diff(self.frame[kept]) == 1)
        return np.split(self.index[kept], np.flatnonzero(~same) + 1) if len(kept) else []


def executed_steps(windows: ScoredWindows) -> ExecutedSteps:
    """Choose for each frame the step of the latest window.

    The robot predicts anew as soon as there is a new window, and executes the rest of the last
    chunk when the episode's windows end.
    """
    steps = windows.steps
    # By episode, frame and place in the chunk: the first of each frame is its latest prediction.
    order = np.lexsort((steps.step, steps.frame, steps.episode))
    episode, frame = steps.episode[order], steps.frame[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (episode[1:] != episode[:-1]) | (frame[1:] != frame[:-1])
    return ExecutedSteps(order[first], episode[first], frame[first])


def integrate(velocities: np.ndarray) -> np.ndarray:
    """Integrate body velocities into poses, each command held for one frame.

    The exact solution on SE(2) for a constant twist (Lynch and Park 2017, Modern Robotics, 3.3.3),
    so that a turn is an arc and not a polygon.

    Args:
        velocities: (F, 3) linear_x, linear_y and angular_z, the last in radians a frame.

    Returns:
        (F, 3): x, y and heading after each command, from (0, 0, 0).
    """
    x, y, turn = velocities.astype(np.float64).T
    heading = np.cumsum(turn)
    start = heading - turn
    small = np.abs(turn) < 1e-6
    safe = np.where(small, 1.0, turn)
    along = np.where(small, 1 - turn**2 / 6, np.sin(safe) / safe)
    across = np.where(small, turn / 2, (1 - np.cos(safe)) / safe)
    forward, aside = along * x - across * y, across * x + along * y  # in the frame of the start
    moved_x = np.cos(start) * forward - np.sin(start) * aside
    moved_y = np.sin(start) * forward + np.cos(start) * aside
    return np.stack([np.cumsum(moved_x), np.cumsum(moved_y), heading], axis=1)


def displacement_errors(
    sections: Sequence[np.ndarray],
    prediction: np.ndarray,
    truth: np.ndarray,
    dimensions: Sequence[str],
) -> np.ndarray:
    """Return the average and the final displacement error of each section, (n, 2).

    ADE: the mean distance between the two trajectories over the frames; FDE: the distance at the
    end (Pellegrini et al. 2009, ICCV; as in trajectory forecasting). Both begin at the same pose.
    A section is the steps of an episode or of a segment; what is not predicted is 0 on both.
    """
    columns = columns_of(dimensions)
    errors = np.zeros((len(sections), 2))
    for place, steps in enumerate(sections):
        twists = np.zeros((2, len(steps), len(ACTION_COLUMNS)))
        twists[0][:, columns], twists[1][:, columns] = prediction[steps], truth[steps]
        offset = integrate(twists[0])[:, :2] - integrate(twists[1])[:, :2]
        distance = np.linalg.norm(offset, axis=1)
        errors[place] = distance.mean(), distance[-1]
    return errors


def mean_displacements(
    sections: Sequence[np.ndarray],
    predictions: Mapping[str, np.ndarray],
    truth: np.ndarray,
    dimensions: Sequence[str],
) -> dict[str, Displacement]:
    """Return the mean ADE and FDE over the sections by predictor: :func:`displacement_errors`."""
    means = {
        name: displacement_errors(sections, values, truth, dimensions).mean(axis=0)
        for name, values in predictions.items()
    }
    return {
        name: Displacement(ade=float(ade), fde=float(fde)) for name, (ade, fde) in means.items()
    }


def smoothness(
    executed: ExecutedSteps, actions: np.ndarray, dimensions: Sequence[str]
) -> dict[str, float]:
    """Return the mean absolute change from a frame's command to the next, by dimension."""
    joined = np.diff(executed.episode) == 0  # no change from an episode to another
    change = np.abs(np.diff(actions[executed.index], axis=0))[joined]
    means = change.mean(axis=0) if len(change) else np.zeros(len(dimensions))
    return dict(zip(dimensions, means.tolist(), strict=True))


def saturation(actions: np.ndarray, limit: float, dimensions: Sequence[str]) -> dict[str, float]:
    """Return the share of commands beyond the action scale, by dimension."""
    beyond = (np.abs(actions) > limit * (1 + 1e-6)).mean(axis=0)
    return dict(zip(dimensions, beyond.tolist(), strict=True))

"""Predictions that see no picture: what a policy has to beat before it is worth anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.data.dataset import Dataset
from mobile_vla.evaluation.steps import Scenario, Scored

ENOUGH = 3
"""Training episodes of a cell that must reach a frame before its usual command there counts."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """The frames of the training episodes: all that these baselines are fitted on.

    Args:
        actions: (R, A) in raw command units.
        frame: (R,) index of each frame within its episode.
        scenario: (R,) index in ``scenarios``.
        scenarios: the distinct scenarios.
    """

    actions: np.ndarray
    frame: np.ndarray
    scenario: np.ndarray
    scenarios: tuple[Scenario, ...]

    @classmethod
    def of(cls, dataset: Dataset, actions: np.ndarray, episodes: Sequence[int]) -> Learnt:
        """Gather the training episodes of a dataset.

        Args:
            dataset: the dataset.
            actions: (rows, A) the predicted dimensions of all its actions.
            episodes: indices of the training episodes.

        Raises:
            ValueError: there is none.
        """
        if not len(episodes):
            raise ValueError("a baseline is fitted on at least one training episode")
        lengths, offsets = dataset.lengths[list(episodes)], dataset.offsets[list(episodes)]
        frame = np.concatenate([np.arange(length) for length in lengths])
        scenarios = [dataset.episodes[index].scenario for index in episodes]
        return cls(
            actions[np.repeat(offsets, lengths) + frame],
            frame,
            np.repeat(np.arange(len(scenarios)), lengths),
            tuple(scenarios),
        )


def zero(learnt: Learnt, scored: Scored) -> np.ndarray:
    """Stand still."""
    return np.zeros_like(scored.truth)


def train_mean(learnt: Learnt, scored: Scored) -> np.ndarray:
    """Repeat the mean command over all frames of the training episodes."""
    return _repeated(learnt.actions.mean(axis=0, dtype=np.float64), scored)


def majority_action(learnt: Learnt, scored: Scored) -> np.ndarray:
    """Repeat the most frequent command of the training episodes.

    Commands count as the same where they agree in two decimals; of equally frequent ones it is the
    lowest.
    """
    rounded = np.round(learnt.actions.astype(np.float64), 2) + 0.0  # no negative zero
    _, first, counts = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    return _repeated(learnt.actions[first[counts.argmax()]], scored)


def replay(learnt: Learnt, scored: Scored) -> np.ndarray:
    """Replay the usual sequence of commands by scenario and frame number.

    The usual command of a frame is the median of each dimension over the training episodes of the
    same scenario that reach the frame: of keys the most frequent one wherever there is a clear one,
    and of all constants that with the lowest absolute error. It is one that was really given (the
    lower median). Where fewer than :data:`ENOUGH` episodes of the scenario reach the frame, those
    of the same side count, then all; beyond the last frame that enough of them reach, the median
    command of all frames.
    """
    frames = scored.last_frame[:, None] + scored.ahead  # (N, C)
    found = np.broadcast_to(_median(learnt.actions), scored.truth.shape).copy()
    for key in (_all, _side, _whole):  # what is more alike overwrites what is less
        usual = _usual(learnt, key)
        owners = [key(scenario) for scenario in scored.scenarios]
        for owner in set(owners) & set(usual):
            table = usual[owner]  # (F, A)
            mine = np.array([own == owner for own in owners])[scored.episode]  # (N,)
            at = np.minimum(frames[mine], len(table) - 1)
            known = (frames[mine] < len(table))[..., None] & ~np.isnan(table[at])
            found[mine] = np.where(known, table[at], found[mine])
    return found


def previous_action(actions: np.ndarray, rows: np.ndarray, scored: Scored) -> np.ndarray:
    """Repeat the last command that was known when the chunk was predicted.

    With target ``next`` that is the one at the window's last frame. With ``current`` that one is
    itself predicted, so it is the one before; at the episode's first frame there is none, and the
    robot stands.

    Args:
        actions: (rows, A) all actions of the dataset, in raw command units.
        rows: (N,) row of each window's last frame.
        scored: the windows.
    """
    if scored.ahead[0] == 1:
        known = actions[rows]
    else:
        first = scored.last_frame == 0
        known = np.where(first[:, None], 0, actions[np.where(first, rows, rows - 1)])
    return np.repeat(known[:, None, :].astype(np.float32), scored.mask.shape[1], axis=1)


FITTED: Mapping[str, Callable[[Learnt, Scored], np.ndarray]] = {
    "zero": zero,
    "train_mean": train_mean,
    "majority_action": majority_action,
    "replay": replay,
}


def baselines(
    learnt: Learnt, actions: np.ndarray, rows: np.ndarray, scored: Scored
) -> dict[str, np.ndarray]:
    """Return the prediction of each baseline that sees no picture.

    Args:
        learnt: the training episodes.
        actions: (rows, A) all actions of the scored dataset, in raw command units.
        rows: (N,) row of each scored window's last frame.
        scored: the scored windows.

    Returns:
        By name, (N, C, A) float32 in raw command units.
    """
    found = {name: predict(learnt, scored) for name, predict in FITTED.items()}
    return {**found, "previous_action": previous_action(actions, rows, scored)}


def _repeated(action: np.ndarray, scored: Scored) -> np.ndarray:
    return np.broadcast_to(action.astype(np.float32), scored.truth.shape).copy()


def _whole(scenario: Scenario) -> tuple[str | None, ...]:
    return tuple(value for _, value in sorted(scenario.items()))


def _side(scenario: Scenario) -> tuple[str | None, ...]:
    return (scenario.get("side"),)


def _all(scenario: Scenario) -> tuple[str | None, ...]:
    return ()


def _usual(
    learnt: Learnt, key: Callable[[Scenario], tuple[str | None, ...]]
) -> dict[tuple[str | None, ...], np.ndarray]:
    """Return by key the usual command of each frame, (F, A); NaN where too few reach it."""
    keys = [key(scenario) for scenario in learnt.scenarios]
    found = {}
    for owner in dict.fromkeys(keys):
        own = np.array([other == owner for other in keys])[learnt.scenario]  # (R,)
        frames, actions = learnt.frame[own], learnt.actions[own]
        table = np.full((frames.max() + 1, actions.shape[1]), np.nan, dtype=np.float32)
        order = np.argsort(frames, kind="stable")
        counts = np.bincount(frames)
        for frame, those in enumerate(np.split(actions[order], np.cumsum(counts)[:-1])):
            if len(those) >= ENOUGH:
                table[frame] = _median(those)
        found[owner] = table
    return found


def _median(actions: np.ndarray) -> np.ndarray:
    """Return the lower median of each column of (n, A)."""
    return np.sort(actions, axis=0)[(len(actions) - 1) // 2]

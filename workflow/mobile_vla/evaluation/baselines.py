"""Vision-free baselines: predictions that need no image, which a policy has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.data.dataset import Dataset
from mobile_vla.evaluation.scored_windows import Scenario, ScoredWindows

ENOUGH = 3  # training episodes that must reach a frame before their median command is replayed

Key = Callable[[Scenario], tuple[str | None, ...]]
GROUPS: tuple[Key, ...] = (
    lambda scenario: (),
    lambda scenario: (scenario.get("side"),),
    lambda scenario: tuple(value for _, value in sorted(scenario.items())),
)
"""What groups training episodes; a more similar group overwrites a less similar one."""


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """The R frames of the training episodes: all that these baselines are fitted on."""

    actions: np.ndarray  # (R, A) in command units
    frame: np.ndarray  # (R,) index of each frame within its episode
    scenario: np.ndarray  # (R,) index in `scenarios`
    scenarios: tuple[Scenario, ...]  # each training episode's scenario

    @classmethod
    def of(cls, dataset: Dataset, actions: np.ndarray, episodes: Sequence[int]) -> TrainingFrames:
        """Gather the given training episodes; ``actions`` are those of all rows, (rows, A).

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


def majority_action(train: TrainingFrames) -> np.ndarray:
    """Return the most frequent command of the training episodes, (A,).

    Commands count as the same where they agree in two decimals; of equally frequent commands it is
    the lowest.
    """
    rounded = np.round(train.actions.astype(np.float64), 2) + 0.0  # no negative zero
    _, first, counts = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    return np.asarray(train.actions[first[counts.argmax()]])


def replay(train: TrainingFrames, windows: ScoredWindows) -> np.ndarray:
    """Replay the median command by scenario and frame number.

    The median is taken of each dimension over the training episodes of the same scenario that reach
    the frame. Of key presses it is the most frequent wherever one is clearly so; of all constants
    it has the lowest absolute error. It is a command that was given (the lower median).
    Where fewer than :data:`ENOUGH` episodes of the scenario reach the frame, those of the same side
    count, then all; beyond the last frame that enough of them reach, it is the median command of
    all frames.
    """
    frames = windows.frame  # (N, C)
    predicted = np.broadcast_to(_median(train.actions), windows.truth.shape).copy()
    for key in GROUPS:
        medians = _medians_by_frame(train, key)
        groups = [key(scenario) for scenario in windows.scenarios]
        for group in set(groups) & set(medians):
            table = medians[group]  # (F, A)
            inside = np.array([other == group for other in groups])[windows.episode]  # (N,)
            at = np.minimum(frames[inside], len(table) - 1)
            known = (frames[inside] < len(table))[..., None] & ~np.isnan(table[at])
            predicted[inside] = np.where(known, table[at], predicted[inside])
    return predicted


def previous_action(actions: np.ndarray, rows: np.ndarray, windows: ScoredWindows) -> np.ndarray:
    """Repeat the last command that was known when the chunk was predicted.

    With target ``next`` that is the command at the window's last frame, which stands in the given
    row of ``actions``. With ``current`` that command is itself predicted, so it is the command
    before; at the episode's first frame there is none, and the robot stands.
    """
    if windows.ahead[0] == 1:
        known = actions[rows]
    else:
        first = windows.last_frame == 0
        known = np.where(first[:, None], 0, actions[np.where(first, rows, rows - 1)])
    return np.repeat(known[:, None, :].astype(np.float32), windows.mask.shape[1], axis=1)


def vision_free_baselines(
    train: TrainingFrames, actions: np.ndarray, rows: np.ndarray, windows: ScoredWindows
) -> dict[str, np.ndarray]:
    """Return by name the baselines that need no image, (N, C, A) float32 in command units.

    Args:
        actions: (rows, A) all actions of the scored dataset.
        rows: (N,) row of each scored window's last frame.
    """

    def repeated(action: np.ndarray) -> np.ndarray:
        return np.broadcast_to(action.astype(np.float32), windows.truth.shape).copy()

    return {
        "zero": np.zeros_like(windows.truth),  # standing still
        "train_mean": repeated(train.actions.mean(axis=0, dtype=np.float64)),
        "majority_action": repeated(majority_action(train)),
        "replay": replay(train, windows),
        "previous_action": previous_action(actions, rows, windows),
    }


def _medians_by_frame(train: TrainingFrames, key: Key) -> dict[tuple[str | None, ...], np.ndarray]:
    """Return by key the median command of each frame, (F, A); NaN where too few reach it."""
    keys = [key(scenario) for scenario in train.scenarios]
    medians = {}
    for group in dict.fromkeys(keys):
        inside = np.array([other == group for other in keys])[train.scenario]  # (R,)
        frames, actions = train.frame[inside], train.actions[inside]
        table = np.full((frames.max() + 1, actions.shape[1]), np.nan, dtype=np.float32)
        order = np.argsort(frames, kind="stable")
        counts = np.bincount(frames)
        for frame, commands in enumerate(np.split(actions[order], np.cumsum(counts)[:-1])):
            if len(commands) >= ENOUGH:
                table[frame] = _median(commands)
        medians[group] = table
    return medians


def _median(actions: np.ndarray) -> np.ndarray:
    """Return the lower median of each column of (n, A)."""
    return np.sort(actions, axis=0)[(len(actions) - 1) // 2]

"""Predictions that need no learning: what a policy has to beat before it is worth anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mobile_vla.data.windows import WindowTable

Target = Literal["next", "current"]


@dataclass(frozen=True)
class Known:
    """What a baseline may know when it predicts; the chunk itself is not among it.

    Args:
        actions: all actions of the scored dataset, (rows, A), in raw command units.
        windows: the windows to predict for.
        train_actions: actions of all frames of the policy's training episodes, (R, A).
        target: whether the chunk starts after the window's last frame, or at it.
    """

    actions: np.ndarray
    windows: WindowTable
    train_actions: np.ndarray
    target: Target


def zero(known: Known) -> np.ndarray:
    """Return the command to stand still, for every window, (N, A)."""
    return np.zeros((len(known.windows.frames), known.actions.shape[1]), dtype=np.float32)


def train_mean(known: Known) -> np.ndarray:
    """Return the mean action over all frames of the training episodes, for every window, (N, A)."""
    mean = known.train_actions.mean(axis=0, dtype=np.float64)  # (A,)
    return np.tile(mean.astype(np.float32), (len(known.windows.frames), 1))


def previous_action(known: Known) -> np.ndarray:
    """Return the last action that was known when the chunk was predicted, (N, A).

    With target ``next`` that is the action at the window's last frame. With ``current`` this action
    is itself predicted, so it is the one before; at the episode's first frame there is none, and
    the robot stands.
    """
    rows = known.windows.frames[:, -1]  # (N,)
    if known.target == "next":
        return known.actions[rows].astype(np.float32)
    first = known.windows.last_frame == 0  # (N,)
    before = known.actions[np.where(first, rows, rows - 1)].astype(np.float32)  # (N, A)
    return np.where(first[:, None], np.float32(0), before)


BASELINES: dict[str, Callable[[Known], np.ndarray]] = {
    "zero": zero,
    "train_mean": train_mean,
    "previous_action": previous_action,
}


def baselines(
    actions: np.ndarray, table: WindowTable, train_actions: np.ndarray, target: Target
) -> dict[str, np.ndarray]:
    """Return each baseline's prediction for each window, one action repeated over the chunk.

    Args:
        actions: all actions of the scored dataset, (rows, A), in raw command units.
        table: the scored windows.
        train_actions: actions of all frames of the policy's own training episodes, (R, A);
            scored episodes have no part in it, nor have those of another dataset that is scored.
        target: the experiment's ``target`` setting.

    Returns:
        By name, (N, C, A) float32 in raw command units.

    Raises:
        ValueError: there is no training row.
    """
    if not len(train_actions):
        raise ValueError("the train mean needs at least one frame of a training episode")
    known = Known(actions, table, train_actions, target)
    chunk = table.targets.shape[1]
    return {
        name: np.repeat(predict(known)[:, None, :], chunk, axis=1)  # (N, C, A)
        for name, predict in BASELINES.items()
    }

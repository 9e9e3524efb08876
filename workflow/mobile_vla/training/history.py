"""The history of a run: the best epoch so far, and whether training should stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mobile_vla.config.training import EarlyStopping
from mobile_vla.training.result import Epoch


@dataclass(frozen=True)
class Validation:
    """The result of a pass over the validation windows."""

    loss: float
    """Mean Huber loss in normalised units."""
    mae: dict[str, float]
    """Mean absolute error of each dimension, in raw command units."""
    clipped: float
    """Share of the predictions beyond the action scale."""
    padded: dict[str, float] = field(default_factory=dict)
    """With padding, RoboVLMs' losses under their names there."""


def best_of(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the lowest validation loss, the earliest of equals."""
    return min(history, key=lambda epoch: epoch.val_loss)


def exhausted(history: Sequence[Epoch], stopping: EarlyStopping) -> bool:
    """Return whether the last ``patience`` epochs brought no improvement over those before."""
    losses = [epoch.val_loss for epoch in history]
    if len(losses) <= stopping.patience:
        return False
    before, recent = losses[: -stopping.patience], losses[-stopping.patience :]
    return min(recent) >= min(before) - stopping.min_delta

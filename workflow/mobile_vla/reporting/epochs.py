"""The losses of each epoch, with their change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobile_vla.training.result import Epoch


@dataclass(frozen=True)
class EpochRow:
    """A line of the per-epoch table; losses in normalised units.

    Args:
        change: of the validation loss since the previous epoch, as a share of it.
        cumulative: of the validation loss since the first epoch, as a share of it.
        gap: validation less training loss.
        best: whether this epoch's policy was kept as the best.
        measured: the line as it was read, with RoboVLMs' losses where there is padding.
    """

    epoch: int
    train_loss: float
    val_loss: float
    change: float | None
    cumulative: float | None
    gap: float | None
    best: bool
    measured: Epoch


def epoch_rows(epochs: Sequence[Epoch], best_epoch: int) -> list[EpochRow]:
    """Return a run's per-epoch table; the first epoch has nothing to compare with."""
    rows = []
    for index, epoch in enumerate(epochs):
        previous = epochs[index - 1].val_loss if index else None
        first = epochs[0].val_loss if index else None
        rows.append(
            EpochRow(
                epoch=epoch.epoch,
                train_loss=epoch.train_loss,
                val_loss=epoch.val_loss,
                change=_change(epoch.val_loss, previous),
                cumulative=_change(epoch.val_loss, first),
                gap=own[0][1] if (own := gaps([epoch])) else None,
                best=epoch.epoch == best_epoch,
                measured=epoch,
            )
        )
    return rows


def gaps(epochs: Sequence[Epoch]) -> list[tuple[int, float]]:
    """Return validation less training loss of the epochs in which both were measured."""
    return [
        (epoch.epoch, epoch.val_loss - epoch.train_loss)
        for epoch in epochs
        if epoch.val_loss is not None and epoch.train_loss is not None
    ]


def _change(value: float | None, since: float | None) -> float | None:
    return (value - since) / since if value is not None and since else None

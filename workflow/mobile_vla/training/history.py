"""The history of a run: a line for each epoch, and metrics.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobile_vla.config.training import EarlyStopping
from mobile_vla.files import atomic_path


@dataclass(frozen=True)
class Validation:
    """What a pass over the validation windows found."""

    loss: float
    """Mean Huber loss in normalised units."""
    mae: dict[str, float]
    """Mean absolute error of each dimension, in raw command units."""
    clipped: float
    """Share of the predictions beyond the action scale."""
    padded: dict[str, float] = field(default_factory=dict)
    """With padding, RoboVLMs' losses under their names there."""


@dataclass(frozen=True)
class Epoch:
    """One line of the history."""

    epoch: int
    step: int
    learning_rate: float
    train_loss: float
    gradient_norm: float
    validation: Validation
    seconds: float = field(compare=False)
    """Wall-clock time of training and validation."""
    train_padded: dict[str, float] = field(default_factory=dict)
    """With padding, RoboVLMs' losses under their names there."""


def row(epoch: Epoch) -> dict[str, float]:
    """Return an epoch as a line of metrics.csv: results only, no times."""
    return {
        "epoch": epoch.epoch,
        "step": epoch.step,
        "learning_rate": epoch.learning_rate,
        "train_loss": epoch.train_loss,
        "val_loss": epoch.validation.loss,
        "gradient_norm": epoch.gradient_norm,
        **{f"val_mae_{name}": value for name, value in epoch.validation.mae.items()},
        "clipped": epoch.validation.clipped,
        **{f"train_{name}": value for name, value in epoch.train_padded.items()},
        **{f"val_{name}": value for name, value in epoch.validation.padded.items()},
    }


def write_metrics(path: Path, epochs: Sequence[Epoch]) -> None:
    """Write metrics.csv; floats with all their digits."""
    rows = [row(epoch) for epoch in epochs]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def best_of(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the lowest validation loss, the earliest of equals."""
    return min(history, key=lambda epoch: epoch.validation.loss)


def exhausted(history: Sequence[Epoch], stopping: EarlyStopping) -> bool:
    """Whether the last ``patience`` epochs brought no improvement over those before."""
    losses = [epoch.validation.loss for epoch in history]
    if len(losses) <= stopping.patience:
        return False
    before, recent = losses[: -stopping.patience], losses[-stopping.patience :]
    return min(recent) >= min(before) - stopping.min_delta

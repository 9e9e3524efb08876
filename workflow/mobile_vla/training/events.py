"""Write a run's events for TensorBoard: each step, each epoch, and its hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mobile_vla.config.training import TrainSettings
from mobile_vla.files import canonical_json
from mobile_vla.training.loop import Position
from mobile_vla.training.result import Epoch

HYPERPARAMETERS = ".hparams"  # end of their file's name: a run that ends twice replaces it
OF_STEPS = ("epoch", "step", "learning_rate", "gradient_norm")  # what the steps' events tell better


class Events:
    """The events of a run, in a folder.

    The steps' tags are those of Transformers' Trainer: ``train/loss``, ``train/grad_norm``,
    ``train/learning_rate``.

    Args:
        folder: where to; it is made.
        step: optimiser steps that are done. A run that goes on writes the events of later ones
            again, and TensorBoard drops those that it wrote before.
    """

    def __init__(self, folder: Path, step: int):
        self.folder = folder
        # of events with this step and later ones
        self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def add_step(self, position: Position, loss: float, learning_rate: float) -> None:
        """Add a step that is done: its mean loss, its gradient's norm before clipping, its rate."""
        self.writer.add_scalar("train/loss", loss, position.step)
        self.writer.add_scalar("train/learning_rate", learning_rate, position.step)
        if not position.skipped_in_a_row:  # else there is no such norm
            self.writer.add_scalar("train/grad_norm", position.gradient_norm, position.step)

    def add_epoch(self, epoch: Epoch, seconds: float) -> None:
        """Add an epoch that is done: its validation, its means, its duration."""
        for name, value in epoch.row().items():
            if name not in OF_STEPS:
                validated = name.startswith("val_")
                tag = name.replace("_", "/", 1) if validated else f"epoch/{name}"
                self.writer.add_scalar(tag, value, epoch.step)
        self.writer.add_scalar("epoch/seconds", seconds, epoch.step)

    def add_hyperparameters(self, settings: TrainSettings, best: Epoch) -> None:
        """Add the settings of a run that is done, with what the best epoch came to."""
        for file in self.folder.glob(f"*{HYPERPARAMETERS}"):
            file.unlink()
        columns = {"best/epoch": float(best.epoch)} | {
            f"best/{name}": value for name, value in best.row().items() if name.startswith("val_")
        }
        with SummaryWriter(str(self.folder), filename_suffix=HYPERPARAMETERS) as writer:
            values = settings.model_dump(mode="json")
            for summary in hparams(flat({**values.pop("policy"), **values}), columns):
                writer.file_writer.add_summary(summary)
            for tag, value in columns.items():
                writer.add_scalar(tag, value, best.step)

    def flush(self) -> None:
        """Write what is added: a state must not be newer than the events before it."""
        self.writer.flush()

    def close(self) -> None:
        """Write what is added, and end."""
        self.writer.close()


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Return nested settings as one level, ``lora.r``; lists as JSON."""
    found: dict[str, bool | int | float | str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, list):
            found[prefix + name] = canonical_json(value) if value is not None else "none"
        else:
            found[prefix + name] = value
    return found

"""What a run leaves behind: metrics.csv and TensorBoard events."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from mobile_vla.files import atomic_path
from mobile_vla.training.loop import Epoch


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
    }


def write_metrics(path: Path, epochs: Sequence[Epoch]) -> None:
    """Write metrics.csv; floats with all their digits."""
    rows = [row(epoch) for epoch in epochs]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Events:
    """TensorBoard events of one run, in a folder that is emptied when the run starts afresh."""

    def __init__(self, folder: Path):
        shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder))

    def add(self, epoch: Epoch) -> None:
        """Add an epoch."""
        for name, value in row(epoch).items():
            if name not in ("epoch", "step"):
                self.writer.add_scalar(name.replace("_", "/", 1), value, epoch.step)
        self.writer.add_scalar("seconds/epoch", epoch.seconds, epoch.step)

    def close(self) -> None:
        """Flush what is left."""
        self.writer.close()

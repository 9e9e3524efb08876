"""TensorBoard events of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from mobile_vla.training.result import Epoch


class Events:
    """TensorBoard events of one run, in a folder that is emptied when the run starts afresh.

    Args:
        folder: where they go; None: nowhere.
        step: optimiser steps that are done; events of later ones are dropped.
    """

    def __init__(self, folder: Path | None, step: int):
        self.writer = None
        if folder is None:
            return
        if not step:
            shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder), purge_step=step or None)

    def add(self, epoch: Epoch, seconds: float) -> None:
        """Write the values of an epoch, and how long it took."""
        if self.writer is None:
            return
        for name, value in epoch.row().items():
            if name not in ("epoch", "step"):
                self.writer.add_scalar(name.replace("_", "/", 1), value, epoch.step)
        self.writer.add_scalar("seconds/epoch", seconds, epoch.step)

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()

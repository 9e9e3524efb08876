"""TensorBoard events of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from mobile_vla.training.history import Epoch, row


class Events:
    """TensorBoard events of one run, in a folder that is emptied when the run starts afresh.

    Args:
        folder: where they go; None: nowhere.
        step: where the run goes on; TensorBoard forgets what came after it.
    """

    def __init__(self, folder: Path | None, step: int):
        self.writer = None
        if folder is None:
            return
        if not step:
            shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder), purge_step=step or None)

    def add(self, epoch: Epoch) -> None:
        """Add an epoch."""
        if self.writer is None:
            return
        for name, value in row(epoch).items():
            if name not in ("epoch", "step"):
                self.writer.add_scalar(name.replace("_", "/", 1), value, epoch.step)
        self.writer.add_scalar("seconds/epoch", epoch.seconds, epoch.step)

    def close(self) -> None:
        """Flush what is left."""
        if self.writer is not None:
            self.writer.close()

"""The time that a trainer waits for its data."""

from __future__ import annotations

import time

import numpy as np

from mobile_vla.data.windows import WindowTable
from mobile_vla.runs.samples import Batch
from mobile_vla.training.trainer import BatchSource


class TimedBatches:
    """A source of batches that measures how long the trainer waits for them.

    Args:
        source: the batches.

    Attributes:
        seconds: spent on making batches so far.
        frames: frames in them.
    """

    def __init__(self, source: BatchSource):
        self.source = source
        self.seconds = 0.0
        self.frames = 0

    @property
    def table(self) -> WindowTable:
        """The windows."""
        return self.source.table

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather windows by index (B,), and add the time that it takes to ``seconds``."""
        started = time.perf_counter()
        batch = self.source.batch(indices, key)
        self.seconds += time.perf_counter() - started
        self.frames += len(batch.features)
        return batch

    def episodes_of(self, indices: np.ndarray) -> list[str]:
        """Return the names of the episodes that some windows come from."""
        return self.source.episodes_of(indices)

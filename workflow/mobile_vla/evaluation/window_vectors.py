"""Windows as vectors: the stored features of their last frame, and the side in the prompt."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.data.dataset import Dataset
from mobile_vla.data.windows import WindowTable
from mobile_vla.features.store import Rows

BLOCK = 256  # frames read at a time


@dataclass(frozen=True, eq=False)
class WindowVectors:
    """N windows, each a vector, with their chunks.

    Args:
        vectors: (N, D) float32, memory-mapped: it does not count towards the process's memory.
        side: (N,) int, index of each window's side in ``SIDES``.
        chunks: (N, C, A) float32 in raw command units.
        mask: (N, C) bool, true where the step exists.
    """

    vectors: np.ndarray
    side: np.ndarray
    chunks: np.ndarray
    mask: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def blocks(self, size: int) -> Iterator[slice]:
        """Yield all windows in their order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))


SIDES: Sequence[str | None] = (None, "left", "right")


def vectors_of(
    dataset: Dataset, table: WindowTable, rows: Rows, actions: np.ndarray
) -> WindowVectors:
    """Read the features of each window's last frame, averaged over the image's tokens.

    Args:
        dataset: the dataset.
        table: N windows of it.
        rows: its features, (rows, tokens, D) or (rows, D).
        actions: (rows, A) in raw command units.
    """
    last = table.frames[:, -1]  # (N,)
    vectors = np.zeros((0, 1), dtype=np.float32)
    for start in range(0, len(last), BLOCK):
        features = rows[last[start : start + BLOCK]].float()
        pooled = features.mean(dim=1) if features.ndim == 3 else features  # (n, D)
        if not start:
            vectors = _on_disk((len(last), pooled.shape[1]))
        vectors[start : start + BLOCK] = pooled.numpy()
    side = [SIDES.index(dataset.episodes[index].scenario.get("side")) for index in table.episode]
    return WindowVectors(
        vectors=vectors,
        side=np.array(side, dtype=np.int64),
        chunks=actions[table.targets],
        mask=table.mask,
    )


def _on_disk(shape: tuple[int, int]) -> np.ndarray:
    """Return an array whose bytes lie in a file without a name, removed with the process."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)

"""Read the frames of a dataset by row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import UserError
from mobile_vla.files import sha256_of
from mobile_vla.ingest.frame_file import open_frame_file

OPEN_FILES = 64  # each memory map holds a file descriptor, and systems often allow just 1024


class FrameStore:
    """All frames of a dataset by row: a read-only view of the episodes' ``.npy`` files.

    Files are memory-mapped when first needed, and only the last few stay open: memory and file
    descriptors stay flat for thousands of episodes. Paths, lengths and SHA-256 are in the dataset's
    order.
    """

    def __init__(
        self, paths: Sequence[Path], lengths: Sequence[int] | np.ndarray, digests: Sequence[str]
    ):
        self._files = list(zip(paths, lengths, digests, strict=True))
        self._ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
        self._verified: set[int] = set()
        self._map = lru_cache(maxsize=OPEN_FILES)(self._opened)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return a copy of the frames of rows (n,), in any order: (n, 224, 224, 3) uint8.

        Raises:
            IndexError: a row is outside the dataset.
            UserError: a file is missing or is not the one that ``ingest`` wrote.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a store of {len(self)}")
        frames = np.empty((len(rows), *FRAME_SHAPE), dtype=np.uint8)
        episodes = np.searchsorted(self._ends, rows, side="right")  # (n,)
        for episode in np.unique(episodes):
            wanted = np.flatnonzero(episodes == episode)
            first = self._ends[episode] - self._files[episode][1]
            frames[wanted] = self._map(int(episode))[rows[wanted] - first]
        return frames

    def _opened(self, episode: int) -> np.ndarray:
        path, length, digest = self._files[episode]
        if episode not in self._verified and path.is_file():
            if sha256_of(path) != digest:
                raise UserError(
                    f"{path}: its bytes are not those that ingest wrote; remove it and run "
                    "snakemake again"
                )
            self._verified.add(episode)
        return open_frame_file(path, int(length))


def open_frames(dataset: Dataset) -> FrameStore:
    """Open the frames of a dataset."""
    return FrameStore(
        [dataset.episode_file(index, ".npy") for index in range(len(dataset))],
        dataset.lengths,
        [episode.frames_sha256 for episode in dataset.episodes],
    )

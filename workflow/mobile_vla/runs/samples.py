"""From windows to batches: distinct frames once, and where each window finds its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.model import Photometric
from mobile_vla.conventions import FRAME_SHAPE, normalise
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.windows import WindowTable
from mobile_vla.features.store import Rows
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.photometric import change, draw_factors


@dataclass(frozen=True)
class Batch:
    """B windows over F distinct frames."""

    features: Tensor
    """(F, …) features at the cut."""
    prompts: Tensor
    """(F,) index of each frame's prompt."""
    windows: Tensor
    """(B, W) which of the F frames each window holds."""
    targets: Tensor
    """(B, C, A) actions in normalised units."""
    mask: Tensor
    """(B, C) True where the action exists."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            *(
                tensor.to(device)
                for tensor in (self.features, self.prompts, self.windows, self.targets, self.mask)
            )
        )

    @property
    def supervised(self) -> int:
        """Number of actions that count."""
        return int(self.mask.sum())


class Samples:
    """The windows of some episodes, with all that a policy needs of them.

    Args:
        dataset: the dataset.
        table: N windows of it.
        rows: features by row, those of mirror images among them where the table has some.
        labels: the actions and prompts of the same rows.
        scale: raw command units that become 1.
        photometric: how far the pictures of a window may be changed; only where ``rows`` are
            frames.
    """

    def __init__(
        self,
        dataset: Dataset,
        table: WindowTable,
        rows: Rows,
        labels: Labels,
        scale: float,
        photometric: Photometric | None = None,
    ):
        self.dataset = dataset
        self.table = table
        self.rows = rows
        self.raw_actions = labels.actions  # (rows, A)
        self.actions = normalise(torch.from_numpy(self.raw_actions), scale)  # (rows, A)
        self.prompt_of_row = torch.from_numpy(labels.prompt_of_row)
        self.photometric = photometric if photometric and photometric.changes else None

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather the windows with the given indices (B,).

        Args:
            indices: which windows.
            key: what random changes of the pictures depend on; None: pictures as recorded.
        """
        frames = self.table.frames[indices]  # (B, W)
        if key is not None and self.photometric is not None:
            # Each window has pictures of its own: none are shared between windows.
            distinct, places = frames.ravel(), np.arange(frames.size)
            pictures = self.rows[distinct].view(*frames.shape, *FRAME_SHAPE)  # (B, W, 224, 224, 3)
            factors = draw_factors(self.photometric, key, indices)
            features = change(pictures, factors).flatten(0, 1)
        else:
            distinct, places = self.distinct_frames(indices)  # (F,), (B, W)
            features = self.rows[distinct]
        return Batch(
            features=features,
            prompts=self.prompt_of_row[distinct],
            windows=torch.from_numpy(places.reshape(frames.shape)),
            targets=self.actions[self.table.targets[indices]],
            mask=torch.from_numpy(self.table.mask[indices]),
        )

    def distinct_frames(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct frames (F,) of windows (B,), and their place in windows (B, W)."""
        frames = self.table.frames[indices]  # (B, W)
        distinct, places = np.unique(frames, return_inverse=True)
        return distinct, places.reshape(frames.shape)

    def in_order(
        self, size: int, first: int = 0, every: int = 1
    ) -> Iterator[tuple[np.ndarray, Batch]]:
        """Yield all windows in their order, ``size`` at a time, with their indices.

        Args:
            size: windows at a time.
            first: which to begin with, of these batches.
            every: go on with every so many of them.
        """
        for start in range(first * size, len(self), every * size):
            indices = np.arange(start, min(start + size, len(self)))
            yield indices, self.batch(indices)

    def episodes_of(self, indices: np.ndarray) -> list[str]:
        """Return the names of the episodes that some windows come from."""
        return [self.dataset.episodes[i].name for i in np.unique(self.table.episode[indices])]

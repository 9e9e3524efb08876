"""From windows to batches: distinct frames once, and where each window finds its own."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class Batch:
    """B windows over F distinct frames."""

    features: Tensor  # (F, …) features at the cut
    prompts: Tensor  # (F,) index of each frame's prompt
    windows: Tensor  # (B, W) which of the F frames each window holds
    targets: Tensor  # (B, C, A) actions in normalised units; at every frame (B, W, C, A)
    mask: Tensor  # (B, C) True where the action exists; at every frame (B, W, C)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    @property
    def supervised(self) -> int:
        """Number of actions that count."""
        return int(self.mask.sum())


class Samples:
    """The windows of some episodes, with all that a policy needs of them.

    Args:
        rows: features by row, those of mirror images among them where the table has some.
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
        self.dataset, self.table, self.rows = dataset, table, rows
        self.commands = labels.actions  # (rows, A) in command units
        self.actions = normalise(torch.from_numpy(self.commands), scale)  # (rows, A)
        self.prompt_of_row = torch.from_numpy(labels.prompt_of_row)
        self.photometric = photometric if photometric and photometric.changes else None

    def __len__(self) -> int:
        return len(self.table)

    def with_table(self, table: WindowTable) -> Samples:
        """Return the same rows in other windows."""
        samples = copy.copy(self)
        samples.table = table
        return samples

    def commands_of_episodes(self) -> Tensor:
        """Return the actions (n, A), normalised, at all frames and targets, each row once."""
        table = self.table
        return self.actions[np.union1d(table.frames, table.targets[table.mask])]

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather the windows with the given indices (B,).

        Random changes of the pictures depend on ``key``; without one they are as recorded.
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
        """Yield the indices and batches of ``size`` windows in their order.

        Begin with batch ``first``, and go on with every so many of them.
        """
        for start in range(first * size, len(self), every * size):
            indices = np.arange(start, min(start + size, len(self)))
            yield indices, self.batch(indices)

    def episodes_of(self, indices: np.ndarray) -> list[str]:
        """Return the names of the episodes that some windows come from."""
        return [self.dataset.episodes[i].name for i in np.unique(self.table.episode[indices])]


# Luma of ITU-R BT.601, as torchvision's rgb_to_grayscale has it.
LUMA = (0.2989, 0.587, 0.114)


def draw_factors(settings: Photometric, key: Sequence[int], indices: np.ndarray) -> Tensor:
    """Draw the factors of some windows: a function of the key and of each window's index alone.

    Returns:
        (B, 3) factors of brightness, contrast and saturation, uniform in [1 - x, 1 + x].
    """
    strengths = np.array([settings.brightness, settings.contrast, settings.saturation])
    drawn = [np.random.default_rng([*key, int(index)]).uniform(-1, 1, 3) for index in indices]
    return torch.from_numpy(1 + strengths * np.array(drawn)).float()


def change(windows: Tensor, factors: Tensor) -> Tensor:
    """Change the pictures of windows (B, W, H, H, 3) uint8 by factors (B, 3).

    The formulas are those of torchvision's ``adjust_brightness``, ``adjust_contrast`` and
    ``adjust_saturation``, one after the other; the mean that contrast is measured from is the
    window's, so that all its frames are changed alike.
    """
    brightness, contrast, saturation = factors.view(-1, 3, 1, 1, 1, 1).unbind(1)  # (B, 1, 1, 1, 1)
    pictures = (windows.float() * brightness).clamp(0, 255)
    mean = _gray(pictures).mean(dim=(1, 2, 3, 4), keepdim=True)
    pictures = (contrast * pictures + (1 - contrast) * mean).clamp(0, 255)
    pictures = (saturation * pictures + (1 - saturation) * _gray(pictures)).clamp(0, 255)
    return pictures.round().to(torch.uint8)


def _gray(pictures: Tensor) -> Tensor:
    """Return the luma (…, 1) of pictures (…, 3)."""
    return (pictures * pictures.new_tensor(LUMA)).sum(dim=-1, keepdim=True)

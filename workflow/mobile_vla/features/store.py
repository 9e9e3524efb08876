"""Read stored features, memory-mapped, one row a frame."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mobile_vla.config.features import View
from mobile_vla.data.dataset import Dataset, Part
from mobile_vla.data.frames import FrameStore, open_frames
from mobile_vla.data.mirror import mirrored_frames
from mobile_vla.errors import UserError
from mobile_vla.features.result import FeatureDescription

TORCH = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Rows(Protocol):
    """Features, or the frames themselves, by row."""

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the features of rows (n,) as (n, …)."""


class FeatureStore:
    """Stored features (rows, …), memory-mapped or in memory; bfloat16 is kept as its 16 bits."""

    def __init__(self, array: np.ndarray, dtype: str):
        self.array = array
        self.dtype = TORCH[dtype]

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the features of rows (n,) as (n, …)."""
        copied = torch.from_numpy(np.ascontiguousarray(self.array[rows]))
        if isinstance(self.array.base, mmap.mmap):
            # What was read has been copied. Without this the whole file would in the end count
            # as memory of this process; the system keeps it in its cache anyway.
            self.array.base.madvise(mmap.MADV_DONTNEED)
        return copied if copied.dtype == self.dtype else copied.view(self.dtype)


class FrameRows:
    """The frames themselves: what is read at the cut ``pixels``."""

    def __init__(self, frames: FrameStore, view: View):
        self.frames, self.view = frames, view

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the frames of rows (n,) as (n, 224, 224, 3) uint8."""
        return torch.from_numpy(seen(self.frames[rows], self.view))


class JoinedRows:
    """Rows of several stores, one store after another: of datasets, or of a dataset's views.

    Args:
        stores: each with the number of its rows.
    """

    def __init__(self, *stores: tuple[Rows, int]):
        self.stores = [store for store, _ in stores]
        self.ends = np.cumsum([count for _, count in stores])

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the features of rows (n,), counted through all stores, as (n, …)."""
        owner = np.searchsorted(self.ends, rows, side="right")  # (n,)
        parts = [
            (chosen, self.stores[place][rows[chosen] - (self.ends[place - 1] if place else 0)])
            for place in np.unique(owner)
            for chosen in [np.flatnonzero(owner == place)]
        ]
        if len(parts) == 1:
            return parts[0][1]
        order = np.argsort(np.concatenate([places for places, _ in parts]))
        read = [features for _, features in parts]
        if read[0].ndim == 3:  # at `hidden_states` as many tokens as the store's longest prompt has
            longest = max(features.shape[1] for features in read)
            read = [pad(each, (0, 0, 0, longest - each.shape[1])) for each in read]
        return torch.cat(read)[torch.from_numpy(order)]


def seen(frames: np.ndarray, view: View) -> np.ndarray:
    """Return frames (n, 224, 224, 3) in a view."""
    return mirrored_frames(frames) if view == "mirrored" else frames


def open_rows(
    dataset: Dataset, backbone: str, precision: str, features: Sequence[Path], view: View
) -> Rows:
    """Open what an experiment reads: its features, or the frames where nothing is stored.

    Args:
        backbone: digest of the backbone that they must have been computed with.
        precision: resolved number format that they must have been computed in.
        features: the JSON of a feature file, of a mixture one for each of its datasets, in their
            order; none at the cut ``pixels``.

    Raises:
        UserError: the features belong to another dataset, backbone or precision, or the file is
            damaged.
    """
    if not features:
        return FrameRows(open_frames(dataset), view)
    if len(features) != len(dataset.parts):
        names = ", ".join(part.name for part in dataset.parts)
        raise UserError(
            f"{len(features)} files of features for the datasets {names}; expected one for each; "
            "run snakemake again"
        )
    stores = [
        (_open_store(part, backbone, precision, path, view), part.rows)
        for part, path in zip(dataset.parts, features, strict=True)
    ]
    return stores[0][0] if len(stores) == 1 else JoinedRows(*stores)


def _open_store(
    part: Part, backbone: str, precision: str, features: Path, view: View
) -> FeatureStore:
    """Open the stored features of a dataset, which other experiments may read, too."""
    described = FeatureDescription.read(features)
    if described.key.view != view:
        raise UserError(f"{features} (key.view): {described.key.view}, expected {view}")
    for what, digest, expected in (
        ("dataset", described.manifest, part.digest),
        ("backbone", described.backbone, backbone),
    ):
        if digest != expected:
            raise UserError(
                f"{features}: computed for a {what} with digest {digest[:12]}…, expected "
                f"{expected[:12]}…; run snakemake again, it makes them anew"
            )
    if described.precision != precision:
        raise UserError(
            f"{features}: computed in {described.precision}, and this machine computes in "
            f"{precision}; say `training.precision: {described.precision}` or "
            f"`{precision}` in config.yaml instead of auto, so that all machines do the same"
        )
    array = features.with_suffix(".npy")
    described.file.verify(array)
    # Readouts are a vector a frame, and a step on them takes a few milliseconds: they are kept in
    # memory. A vector for each token of a frame makes gigabytes, which stay on disk.
    mode: Literal["r"] | None = None if described.cut == "readout" else "r"
    return FeatureStore(np.load(array, mmap_mode=mode, allow_pickle=False), described.dtype)

"""Reading features: one row a frame, memory-mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import FrameStore, open_frames
from mobile_vla.errors import UserError
from mobile_vla.files import read_json, verify

TORCH = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Rows(Protocol):
    """Features, or the frames themselves, by row."""

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the features of rows (n,) as (n, …)."""


class FeatureStore:
    """Stored features of a dataset at one cut.

    Args:
        array: (rows, …), memory-mapped or in memory; bfloat16 is kept as its 16 bits.
        dtype: name of the number format.
    """

    def __init__(self, array: np.ndarray, dtype: str):
        self.array = array
        self.dtype = TORCH[dtype]

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the features of rows (n,) as (n, …)."""
        copied = torch.from_numpy(np.ascontiguousarray(self.array[rows]))
        return copied if copied.dtype == self.dtype else copied.view(self.dtype)


class FrameRows:
    """The frames themselves: what is read at the cut ``pixels``."""

    def __init__(self, frames: FrameStore):
        self.frames = frames

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the frames of rows (n,) as (n, 224, 224, 3) uint8."""
        return torch.from_numpy(self.frames[rows])


def open_rows(dataset: Dataset, backbone: str, precision: str, features: Path | None) -> Rows:
    """Open what an experiment reads: its features, or the frames where nothing is stored.

    Args:
        dataset: the dataset that the rows belong to.
        backbone: digest of the backbone that they must have been computed with.
        precision: resolved number format that they must have been computed in.
        features: the JSON of a feature file; None at the cut ``pixels``.

    Raises:
        UserError: the features belong to another dataset, backbone or precision, or the file is
            damaged.
    """
    if features is None:
        return FrameRows(open_frames(dataset))
    described = read_json(features)
    for what, found, expected in (
        ("dataset", described["manifest"], dataset.digest),
        ("backbone", described["backbone"], backbone),
    ):
        if found != expected:
            raise UserError(
                f"{features}: computed for a {what} with digest {found[:12]}…, expected "
                f"{expected[:12]}…; run snakemake again, it makes them anew"
            )
    if described["precision"] != precision:
        raise UserError(
            f"{features}: computed in {described['precision']}, and this machine computes in "
            f"{precision}; say `training.precision: {described['precision']}` or "
            f"`{precision}` in config.yaml instead of auto, so that all machines do the same"
        )
    array = features.with_suffix(".npy")
    verify(array, described)
    # Readouts are a vector a frame, and a step on them takes a few milliseconds: they are kept in
    # memory. Image embeddings are gigabytes, and stay on disk.
    mode: Literal["r"] | None = None if described["cut"] == "readout" else "r"
    return FeatureStore(np.load(array, mmap_mode=mode, allow_pickle=False), described["dtype"])

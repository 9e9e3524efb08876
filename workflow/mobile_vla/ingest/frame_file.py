"""Open the frames that ``ingest`` wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.errors import UserError


def open_frame_file(path: Path, length: int) -> np.ndarray:
    """Map the frames of an episode into memory, read-only: (T, 224, 224, 3) uint8.

    Args:
        path: the episode's ``.npy``.
        length: how many frames it has, T.

    Raises:
        UserError: the file is missing or holds something else.
    """
    try:
        frames: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not readable as frames ({error}); remove it and run snakemake again"
        ) from None
    expected = (length, *FRAME_SHAPE)
    if frames.shape != expected or frames.dtype != np.uint8:
        raise UserError(
            f"{path}: found {frames.dtype} {frames.shape}, expected uint8 {expected}; "
            "remove it and run snakemake again"
        )
    return frames

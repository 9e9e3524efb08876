"""Reading an episode's images along time, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import h5py
import numpy as np

from mobile_vla.data.defects import Defect, Rejected
from mobile_vla.data.isolation import Tell
from mobile_vla.data.locate import reading
from mobile_vla.data.rawfile import HDF5_ERRORS, one_line

BLOCK_BYTES = 64 << 20  # raw images held at a time
CONTIGUOUS_BYTES = 8 << 20  # the same, where no chunk prescribes how much to read
SLOTS = 521  # of the chunk cache's hash table; HDF5's own default


def image_blocks(file: h5py.File, place: str, tell: Tell) -> Iterator[tuple[int, np.ndarray]]:
    """Yield all images in blocks along time, each chunk decompressed once.

    Args:
        file: the opened raw file, with no handle of the images open.
        place: path in it of the images, (T, H, W, 3) uint8.
        tell: is told each block's first frame before the block is read.

    Yields:
        The first frame's index, and the images (n, H, W, 3) uint8.

    Raises:
        Rejected: a chunk cannot be read; names the first frame concerned.
    """
    with reading(place):
        dataset = file[place]
        step, cache = _block(dataset)
        if cache:
            del dataset  # a dataset's cache is settled when its first handle is opened
            access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
            access.set_chunk_cache(SLOTS, cache, 1.0)
            dataset = h5py.Dataset(h5py.h5d.open(file.id, place.encode(), access))
    frames = dataset.shape[0]
    for first in range(0, frames, step):
        last = min(first + step, frames)
        tell(f"{place}, frame {first}")
        try:
            yield first, dataset[first:last]
        except HDF5_ERRORS as error:
            raise Rejected(_damaged(dataset, place, first, last, one_line(error))) from None


def _block(dataset: h5py.Dataset) -> tuple[int, int]:
    """Return how many frames to read at a time, and the bytes of chunk cache that this takes."""
    frame_bytes = math.prod(dataset.shape[1:])
    if dataset.chunks is None:
        return max(1, CONTIGUOUS_BYTES // frame_bytes), 0
    span = min(dataset.chunks[0], dataset.shape[0])
    if span * frame_bytes <= BLOCK_BYTES:
        return span, 0
    # A chunk that spans more than a block is read in parts; without a cache that holds it,
    # HDF5 would decompress it anew for each part.
    across = math.prod(
        -(-size // chunk) for size, chunk in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)
    )
    return max(1, BLOCK_BYTES // frame_bytes), across * math.prod(dataset.chunks)


def _damaged(dataset: h5py.Dataset, place: str, first: int, last: int, message: str) -> Defect:
    frame = first
    for frame in range(first, last):
        try:
            dataset[frame]
        except HDF5_ERRORS:
            break
    return Defect(
        "damaged_chunk",
        f"{place}, frame {frame}",
        f"HDF5 cannot read it: {message}",
        "images that are intact to the last chunk",
        "copy the file again from where it was recorded",
    )

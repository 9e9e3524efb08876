"""Read an episode's images in blocks along time, in bounded memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial

import h5py
import numpy as np

from mobile_vla.ingest.decompress import DECODE_ERRORS, decodable, decode
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.locate import reading
from mobile_vla.ingest.rawfile import HDF5_ERRORS, one_line
from mobile_vla.ingest.rejected import Rejected
from mobile_vla.ingest.result import Defect

CONTIGUOUS_BYTES = 8 << 20  # raw images read at a time where no chunk prescribes how many


def image_blocks(
    file: h5py.File, place: str, announce: Announce
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield all images in blocks along time, each chunk decompressed once.

    A block spans the frames of a chunk; ``check_chunks`` has refused those that are too large.

    Args:
        file: the opened raw file.
        place: path in it of the images, (T, H, W, 3) uint8.
        announce: called with each block's first frame before the block is read.

    Yields:
        The first frame's index, and the images (n, H, W, 3) uint8.

    Raises:
        Rejected: a chunk cannot be read; names the first frame concerned.
    """
    with reading(place):
        dataset = file[place]
        step, read = _reader(dataset)
    frames = dataset.shape[0]
    for first in range(0, frames, step):
        last = min(first + step, frames)
        announce(f"{place}, frame {first}")
        try:
            yield first, read(first, last)
        except (*HDF5_ERRORS, *DECODE_ERRORS) as error:
            raise Rejected(_damaged(place, first, last, one_line(error))) from None


def _reader(dataset: h5py.Dataset) -> tuple[int, Callable[[int, int], np.ndarray]]:
    """Return how many frames to read at a time, and what reads them."""
    if dataset.chunks is None:
        frame_bytes = math.prod(dataset.shape[1:])
        return max(1, CONTIGUOUS_BYTES // frame_bytes), lambda first, last: dataset[first:last]
    if decodable(dataset):
        return dataset.chunks[0], partial(_decoded, dataset)
    return dataset.chunks[0], lambda first, last: dataset[first:last]


def _decoded(dataset: h5py.Dataset, first: int, last: int) -> np.ndarray:
    """Return the frames of the chunks that begin at frame ``first``, (last - first, H, W, 3)."""
    shape, chunks = dataset.shape, dataset.chunks
    if chunks[1:] == shape[1:]:
        whole = np.frombuffer(decode(dataset, (first, 0, 0, 0)), np.uint8).reshape(chunks)
        return whole[: last - first]
    block = np.empty((last - first, *shape[1:]), dtype=np.uint8)
    starts = (range(0, size, chunk) for size, chunk in zip(shape[1:], chunks[1:], strict=True))
    for y, x, z in itertools.product(*starts):
        piece = np.frombuffer(decode(dataset, (first, y, x, z)), np.uint8).reshape(chunks)
        place = block[:, y : y + chunks[1], x : x + chunks[2], z : z + chunks[3]]
        place[...] = piece[: place.shape[0], : place.shape[1], : place.shape[2], : place.shape[3]]
    return block


def _damaged(place: str, first: int, last: int, message: str) -> Defect:
    return Defect(
        code="damaged_chunk",
        place=f"{place}, frame {first}"
        if last - first == 1
        else f"{place}, frames {first}-{last - 1}",
        found=f"it cannot be read: {message}",
        expected="images that are intact to the last chunk",
        remedy="copy the file again from where it was recorded",
    )

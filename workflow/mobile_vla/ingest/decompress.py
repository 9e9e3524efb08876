"""Decompress chunks that are compressed by gzip, or not at all, without HDF5.

HDF5 accepts a chunk that unpacks to fewer bytes than it should and fills the rest with random
memory. Here the length is checked, beside gzip's checksum; and each chunk is read once.
"""

from __future__ import annotations

import math
import zlib

import h5py

GZIP = h5py.h5z.FILTER_DEFLATE
SHUFFLE = h5py.h5z.FILTER_SHUFFLE

DECODE_ERRORS = (zlib.error, ValueError)
"""What :func:`decode` raises besides HDF5's errors."""


def filters_of(dataset: h5py.Dataset) -> list[int]:
    """Return the numbers of a dataset's filters, in the order in which they were applied."""
    plist = dataset.id.get_create_plist()
    return [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]


def decodable(dataset: h5py.Dataset) -> bool:
    """Whether :func:`decode` knows a dataset's filters and types: others are left to HDF5."""
    if dataset.chunks is None or dataset.dtype.hasobject:  # texts of any length lie elsewhere
        return False
    return {GZIP, SHUFFLE}.issuperset(filters_of(dataset))


def chunk_bytes(dataset: h5py.Dataset) -> int:
    """Return the size of a dataset's chunks, decompressed."""
    return math.prod(dataset.chunks) * int(dataset.dtype.itemsize)


def decode(dataset: h5py.Dataset, offset: tuple[int, ...]) -> bytes:
    """Return a chunk's values as bytes; a shuffle is not undone, for it leaves single bytes as is.

    Args:
        dataset: a chunked dataset with no other filters than gzip and shuffling.
        offset: the chunk's first element.

    Raises:
        ValueError: it has another length than it should; or HDF5 does not find it.
        zlib.error: it is damaged.
    """
    mask, stored = dataset.id.read_direct_chunk(offset)
    wanted = chunk_bytes(dataset)
    for index, number in reversed(list(enumerate(filters_of(dataset)))):
        if number == GZIP and not mask >> index & 1:  # the bit says that it was not applied
            unpacking = zlib.decompressobj()
            # At most one byte more than wanted, whatever the stream claims to hold.
            stored = unpacking.decompress(stored, wanted + 1)
            if not unpacking.eof and len(stored) <= wanted:
                raise ValueError("compressed bytes that end too early")
    if len(stored) != wanted:
        more = "more than " if len(stored) > wanted else ""
        raise ValueError(f"{more}{min(len(stored), wanted):,} bytes, {wanted:,} expected")
    return bytes(stored)

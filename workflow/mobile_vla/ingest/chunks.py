"""Check that a dataset's values are there, and read images chunk by chunk, in bounded memory."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator

import h5py
import numpy as np

from mobile_vla.ingest.encoded import decode, may_be_encoded, read_stored
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.machine import blame, from_machine, machine_error
from mobile_vla.ingest.rawfile import HDF5_ERRORS, Rejected, one_line, reading, rejection
from mobile_vla.sentence import Sentence, first_of, say

# Decompressed and side by side, the chunks that one frame lies in: 24 images of 1280×720. Reading
# takes three times that at most, which keeps an ingest job below 400 MB (docs/performance.md).
MAX_BYTES = 64 << 20
CONTIGUOUS_BYTES = 8 << 20  # raw images read at a time where no chunk prescribes how many

REPACK = "h5repack -l images:CHUNK=1x720x1280x3 OLD.h5 NEW.h5"

GZIP = h5py.h5z.FILTER_DEFLATE
SHUFFLE = h5py.h5z.FILTER_SHUFFLE

SZIP = h5py.h5z.FILTER_SZIP
PLUGINS = 256  # the first number of a filter that HDF5 loads (H5Z_FILTER_RESERVED)
OF_HDF5 = ("deflate", "shuffle", "fletcher32", "szip", "nbit", "scaleoffset")

READ_ERRORS = (*HDF5_ERRORS, zlib.error)
"""What HDF5 and :func:`_decode` raise for a damaged chunk."""


def check_storage(dataset: h5py.Dataset, place: str, *, decode_later: bool = False) -> None:
    """Check, before anything is read, that a dataset's values are there and fit into memory.

    With ``decode_later`` chunks are not decompressed here, because the caller does so afterwards.

    Raises:
        Rejected: no HDF5 has such a filter; parts were never written; or chunks are too large,
            overlap, cannot be found, or have a wrong size or content.
        MachineError: a filter's plugin is not installed.
    """
    for number, name in _filters_of(dataset):
        if not h5py.h5z.filter_avail(number):
            raise _without_filter(place, number, name.decode(errors="replace").strip("\0"))
    if dataset.chunks is not None:
        _check_chunks(dataset, place, decode_later)
    elif dataset.id.get_storage_size() < (whole := dataset.size * _item_bytes(dataset)):
        raise _incomplete(place, dataset.id.get_storage_size(), whole, say("bytes"))


def _without_filter(place: str, number: int, name: str) -> Exception:
    found = say("compressed with filter {number} ({name})", number=number, name=name or "?")
    if (number < PLUGINS and number != SZIP) or name in OF_HDF5:
        expected = say("gzip, or a filter that HDF5 or a plugin of it has")
        return rejection("unknown_filter", place, found, expected)
    remedy = (
        "recompress it (h5repack -f GZIP=1 OLD.h5 NEW.h5), or install the filter, for instance\n"
        "    python -m pip install hdf5plugin\n"
        "    export HDF5_PLUGIN_PATH="
        "$(python -c 'import hdf5plugin as p; print(p.PLUGIN_PATH)')\n"
        "   "
    )
    return machine_error(place, f"{found}, and this machine's HDF5 has no such filter", remedy)


def _incomplete(place: str, stored: int, whole: int, unit: Sentence) -> Rejected:
    found = say(
        "{stored} of {whole} {unit} were ever written", stored=stored, whole=whole, unit=unit
    )
    expected = say("all of them: HDF5 reads the others as zeros")
    remedy = say("the recorder was stopped early; record the episode again")
    return rejection("incomplete", place, found, expected, remedy)


def _check_chunks(dataset: h5py.Dataset, place: str, decode_later: bool) -> None:
    """Check that every chunk is there, lies where HDF5 looks for it and can be decompressed.

    A flipped bit in the index, or in the list of filters, would otherwise go unnoticed: the first
    yields zeros, the second compressed bytes in place of pixels.
    """
    counts = [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    across, size = math.prod(counts[1:]), _chunk_bytes(dataset)
    if across * size > MAX_BYTES:
        found = say("{n:,} chunks of {size:,} bytes side by side", n=across, size=size)
        expected = say(
            "at most {most:,} bytes side by side: chunks are decompressed as a whole",
            most=MAX_BYTES,
        )
        remedy = say("store a frame a chunk: `{command}`", command=REPACK)
        raise rejection("chunk_too_large", place, found, expected, remedy)
    whole, stored = math.prod(counts), dataset.id.get_num_chunks()
    if stored < whole:
        raise _incomplete(place, stored, whole, say("chunks"))
    starts = (
        range(0, count * chunk, chunk) for count, chunk in zip(counts, dataset.chunks, strict=True)
    )
    wanted = set(itertools.product(*starts))
    readable = _decodable(dataset)
    unfiltered = (1 << len(_filters_of(dataset))) - 1  # a bit is set where it was not applied
    chunks: list[h5py.h5d.StoreInfo] = []
    dataset.id.chunk_iter(chunks.append)
    listed: list[tuple[int, ...]] = []
    wrong: list[Sentence] = []
    for chunk in chunks:
        plain = chunk.filter_mask & unfiltered == unfiltered
        if chunk.size == 0 or (plain and chunk.size != size):
            at, size_there = chunk.chunk_offset, chunk.size
            wrong.append(say("chunk {at} of {size} bytes", at=at, size=size_there))
        elif not decode_later or not readable:
            listed.append(chunk.chunk_offset)
    wanted -= {chunk.chunk_offset for chunk in chunks}
    wrong += [say("no chunk {at}", at=offset) for offset in sorted(wanted)[:1]]
    ranges = sorted((chunk.byte_offset, chunk.byte_offset + chunk.size) for chunk in chunks)
    if any(start < end for (_, end), (start, _) in itertools.pairwise(ranges)):
        wrong.append(say("chunks that overlap in the file"))
    for offset in listed:
        try:
            if readable:
                _decode(dataset, offset)
            else:
                dataset.id.read_direct_chunk(offset)  # goes through the index, as reading does
        except READ_ERRORS as error:
            if from_machine(error):
                raise
            wrong.append(
                say(
                    "chunk {at} is listed, and cannot be read: {error}",
                    at=offset,
                    error=one_line(error),
                )
            )
    if wrong:
        found = first_of(len(wrong), wrong[0])
        raise rejection("damaged_index", place, found, say("an index that leads to every chunk"))


def image_blocks(
    file: h5py.File, place: str, announce: Announce
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield all images in blocks along time, each chunk decompressed once.

    A block spans the frames of a chunk; :func:`check_storage` has refused those that are too large.
    Images that are stored as files are blocks of one.

    Args:
        file: an episode that was checked.
        place: path in the file of the images, (T, H, W, 3) uint8 or T files.
        announce: called with each block's first frame before the block is read.

    Yields:
        The first frame's index, and the images (n, H, W, 3) uint8.

    Raises:
        Rejected: a chunk or image cannot be read; names the first frame concerned.
        MachineError: reading failed for a reason outside of the file.
    """
    with reading(place):
        dataset = file[place]
        step, files = _step(dataset), may_be_encoded(dataset)
    shape: tuple[int, ...] = ()
    for first in range(0, dataset.shape[0], step):
        last = min(first + step, dataset.shape[0])
        announce(f"{place}, frame {first}")
        block = _block(dataset, first, last, place)
        if not files:
            yield first, block
            continue
        for index, stored in enumerate(block, start=first):
            where = f"{place}, frame {index}"
            announce(where)
            image = decode(stored, where)
            shape = shape or image.shape
            if image.shape != shape:
                found = say("{height}×{width} pixels", height=image.shape[0], width=image.shape[1])
                expected = say("{height}×{width}, as in frame 0", height=shape[0], width=shape[1])
                raise rejection(
                    "wrong_shape", where, found, expected, say("store images of one size")
                )
            yield index, image[np.newaxis]


def _step(dataset: h5py.Dataset) -> int:
    """Return how many frames are read at a time."""
    if dataset.dtype.hasobject:
        return 1
    if dataset.chunks is None:
        frame = math.prod(dataset.shape[1:]) * _item_bytes(dataset)
        return max(1, CONTIGUOUS_BYTES // max(1, frame))
    return int(dataset.chunks[0])


def _block(dataset: h5py.Dataset, first: int, last: int, place: str) -> np.ndarray:
    """Return the stored values of some frames, (last - first, …)."""
    where = f"frame {first}" if last - first == 1 else f"frames {first}-{last - 1}"
    where = f"{place}, {where}"
    if dataset.dtype.hasobject:
        return read_stored(dataset, first, last, where)
    try:
        decoded = dataset.dtype == np.uint8 and _decodable(dataset)
        return _decoded(dataset, first, last) if decoded else dataset[first:last]
    except READ_ERRORS as error:
        blame(error, where)
        found = say("it cannot be read: {error}", error=one_line(error))
        expected = say("images that are intact to the last chunk")
        raise rejection("damaged_chunk", where, found, expected) from None


def _decoded(dataset: h5py.Dataset, first: int, last: int) -> np.ndarray:
    """Return the values of the chunks that begin at frame ``first``, (last - first, …) uint8."""
    shape, chunks = dataset.shape, dataset.chunks
    if chunks[1:] == shape[1:]:
        start = (first, *(0 for _ in shape[1:]))
        return np.frombuffer(_decode(dataset, start), np.uint8).reshape(chunks)[: last - first]
    block = np.empty((last - first, *shape[1:]), dtype=np.uint8)
    starts = (range(0, size, chunk) for size, chunk in zip(shape[1:], chunks[1:], strict=True))
    for offset in itertools.product(*starts):
        piece = np.frombuffer(_decode(dataset, (first, *offset)), np.uint8).reshape(chunks)
        ends = (slice(at, at + size) for at, size in zip(offset, chunks[1:], strict=True))
        place = block[:, *ends]
        place[...] = piece[tuple(slice(size) for size in place.shape)]
    return block


def _filters_of(dataset: h5py.Dataset) -> list[tuple[int, bytes]]:
    """Return numbers and names of a dataset's filters, in the order in which they were applied."""
    plist = dataset.id.get_create_plist()
    return [plist.get_filter(index)[::3] for index in range(plist.get_nfilters())]


def _decodable(dataset: h5py.Dataset) -> bool:
    """Whether :func:`_decode` knows a dataset's filters and types: others are left to HDF5."""
    if dataset.chunks is None or dataset.dtype.hasobject:  # texts of any length lie elsewhere
        return False
    return {GZIP, SHUFFLE}.issuperset(number for number, _ in _filters_of(dataset))


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    """Return the size of a dataset's chunks, decompressed."""
    return math.prod(dataset.chunks) * _item_bytes(dataset)


def _item_bytes(dataset: h5py.Dataset) -> int:
    """Return the size of a value in the file, which may differ from that in memory."""
    if dataset.dtype.hasobject:  # of any length: its length, an address and an index
        address, _ = dataset.file.id.get_create_plist().get_sizes()
        return 4 + address + 4
    return int(dataset.id.get_type().get_size())


def _decode(dataset: h5py.Dataset, offset: tuple[int, ...]) -> bytes:
    """Return a chunk's values as bytes; a shuffle is not undone, for it leaves single bytes as is.

    HDF5 accepts a chunk that unpacks to fewer bytes than it should and fills the rest with random
    memory. Here the length is checked, beside gzip's checksum; and each chunk is read once.
    """
    mask, stored = dataset.id.read_direct_chunk(offset)
    wanted = _chunk_bytes(dataset)
    for index, (number, _) in reversed(list(enumerate(_filters_of(dataset)))):
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

"""Check the index of a dataset's chunks: HDF5 reads chunks that a damaged one lacks as zeros."""

from __future__ import annotations

import itertools
import math

import h5py

from mobile_vla.ingest.decompress import DECODE_ERRORS, chunk_bytes, decodable, decode
from mobile_vla.ingest.rawfile import HDF5_ERRORS, one_line
from mobile_vla.ingest.rejected import Rejected
from mobile_vla.ingest.result import Defect

# Decompressed and side by side, the chunks that one frame lies in: 24 images of 1280×720. Reading
# takes three times that at most, which keeps an ingest job below 400 MB (docs/performance.md).
MAX_BYTES = 64 << 20

REPACK = "h5repack -l images:CHUNK=1x720x1280x3 OLD.h5 NEW.h5"


def check_chunks(dataset: h5py.Dataset, place: str, *, decode_later: bool = False) -> None:
    """Check that every chunk is there, lies where HDF5 looks for it and can be decompressed.

    A flipped bit in the index, or in the list of filters, would otherwise go unnoticed: the first
    yields zeros, the second compressed bytes in place of pixels.

    Args:
        dataset: a chunked dataset.
        place: its path in the file, for the defect.
        decode_later: do not decompress the chunks here, because the caller does so afterwards.

    Raises:
        Rejected: chunks are missing, too large, overlap, or have a wrong size or content.
    """
    across = math.prod(
        -(-size // chunk) for size, chunk in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)
    )
    size = chunk_bytes(dataset)
    if across * size > MAX_BYTES:
        beside = f" ({across:,} of them side by side)" if across > 1 else ""
        raise Rejected(
            Defect(
                code="chunk_too_large",
                place=place,
                found=f"chunks of {size:,} bytes{beside}",
                expected=f"at most {MAX_BYTES:,} bytes side by side: "
                "chunks are decompressed as a whole",
                remedy=f"store a frame a chunk: {REPACK}",
            )
        )
    counts = [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    whole, stored = math.prod(counts), dataset.id.get_num_chunks()
    if stored < whole:
        raise Rejected(incomplete(place, stored, whole, "chunks"))
    wanted = set(
        itertools.product(
            *(
                range(0, count * chunk, chunk)
                for count, chunk in zip(counts, dataset.chunks, strict=True)
            )
        )
    )
    filters = dataset.id.get_create_plist().get_nfilters()
    readable = decodable(dataset)
    unfiltered = (1 << filters) - 1  # a filter's bit is set where it was not applied
    ranges: list[tuple[int, int]] = []
    listed: list[tuple[int, ...]] = []
    wrong: list[str] = []

    def check(chunk: h5py.h5d.StoreInfo) -> None:
        wanted.discard(chunk.chunk_offset)
        ranges.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
        plain = chunk.filter_mask & unfiltered == unfiltered
        if chunk.size == 0 or (plain and chunk.size != size):
            wrong.append(f"chunk {chunk.chunk_offset} of {chunk.size} bytes")
        elif not decode_later or not readable:
            listed.append(chunk.chunk_offset)

    dataset.id.chunk_iter(check)
    wrong += [f"no chunk {offset}" for offset in sorted(wanted)[:1]]
    ranges.sort()
    for (_, end), (start, _) in itertools.pairwise(ranges):
        if start < end:
            wrong.append("chunks that overlap in the file")
            break
    wrong += [text for offset in listed if (text := _unreadable(dataset, offset, readable))]
    if wrong:
        raise Rejected(
            Defect(
                code="damaged_index",
                place=place,
                found=wrong[0] + (f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""),
                expected="an index that leads to every chunk",
                remedy="copy the file again from where it was recorded",
            )
        )


def _unreadable(dataset: h5py.Dataset, offset: tuple[int, ...], readable: bool) -> str | None:
    """Return what is wrong with a chunk that the index lists; None where it is sound."""
    try:
        if readable:
            decode(dataset, offset)
        else:
            dataset.id.read_direct_chunk(offset)  # goes through the index, as reading does
    except (*HDF5_ERRORS, *DECODE_ERRORS) as error:
        return f"chunk {offset} is listed, and cannot be read: {one_line(error)}"
    return None


def incomplete(place: str, stored: int, whole: int, unit: str) -> Defect:
    """Return the defect of a dataset that was never written to its end."""
    return Defect(
        code="incomplete",
        place=place,
        found=f"{stored} of {whole} {unit} were ever written",
        expected="all of them: HDF5 reads the others as zeros",
        remedy="the recorder was stopped early; record the episode again",
    )

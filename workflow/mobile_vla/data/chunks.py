"""The index of a dataset's chunks: what a damaged one no longer leads to, HDF5 reads as zeros."""

from __future__ import annotations

import itertools
import math

import h5py

from mobile_vla.data.defects import Defect, Rejected
from mobile_vla.data.rawfile import HDF5_ERRORS

MAX_CHUNK_BYTES = 1 << 30

REPACK = "h5repack -l images:CHUNK=1x720x1280x3 OLD.h5 NEW.h5"


def check_chunks(dataset: h5py.Dataset, place: str) -> None:
    """Check that every chunk is there, lies where HDF5 looks for it and can be decompressed.

    Nothing is decompressed. A flipped bit in the index, or in the list of filters, would otherwise
    go unnoticed: the first yields zeros, the second compressed bytes in place of pixels.

    Args:
        dataset: a chunked dataset.
        place: its path in the file, for the defect.

    Raises:
        Rejected: chunks are missing, too large, overlap, or have a wrong size.
    """
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise Rejected(
            Defect(
                "chunk_too_large",
                place,
                f"chunks of {chunk_bytes:,} bytes",
                f"at most {MAX_CHUNK_BYTES:,}: a chunk is decompressed as a whole",
                f"store a frame a chunk: {REPACK}",
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
    unfiltered = (1 << filters) - 1  # a filter's bit is set where it was not applied
    ranges: list[tuple[int, int]] = []
    wrong: list[str] = []

    def look(chunk: h5py.h5d.StoreInfo) -> None:
        wanted.discard(chunk.chunk_offset)
        ranges.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
        plain = chunk.filter_mask & unfiltered == unfiltered
        if chunk.size == 0 or (plain and chunk.size != chunk_bytes):
            wrong.append(f"chunk {chunk.chunk_offset} of {chunk.size} bytes")
        try:
            dataset.id.read_direct_chunk(chunk.chunk_offset)  # goes through the index, as reading
        except HDF5_ERRORS:
            wrong.append(f"chunk {chunk.chunk_offset} is listed, and not found")

    dataset.id.chunk_iter(look)
    wrong += [f"no chunk {offset}" for offset in sorted(wanted)[:1]]
    ranges.sort()
    for (_, end), (start, _) in itertools.pairwise(ranges):
        if start < end:
            wrong.append("chunks that overlap in the file")
            break
    if wrong:
        raise Rejected(
            Defect(
                "damaged_index",
                place,
                wrong[0] + (f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""),
                "an index that leads to every chunk",
                "copy the file again from where it was recorded",
            )
        )


def incomplete(place: str, stored: int, whole: int, unit: str) -> Defect:
    """Return the defect of a dataset that was never written to its end."""
    return Defect(
        "incomplete",
        place,
        f"{stored} of {whole} {unit} were ever written",
        "all of them: HDF5 reads the others as zeros",
        "the recorder was stopped early; record the episode again",
    )

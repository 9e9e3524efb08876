"""Find a dataset in a raw file by its path, and check that it can be read safely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import h5py

from mobile_vla.ingest.chunk_index import check_chunks, incomplete
from mobile_vla.ingest.rawfile import HDF5_ERRORS, one_line
from mobile_vla.ingest.rejected import Rejected
from mobile_vla.ingest.result import Defect

MAX_FRAMES = 100_000
MAX_SIDE = 8192  # pixels; one such image takes 200 MB
MAX_LINKS = 16


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn what h5py raises for damaged structures into a defect at ``place``."""
    try:
        yield
    except HDF5_ERRORS as error:
        raise Rejected(
            Defect(
                code="unreadable",
                place=place,
                found=f"HDF5 cannot read it: {one_line(error)}",
                expected="data that is intact to the last chunk",
                remedy="copy the file again from where it was recorded",
            )
        ) from None


def find(file: h5py.File, path: str) -> h5py.Dataset | None:
    """Return a dataset by its path, or None where the file has none.

    Links are followed step by step, because a soft link may lead to an external one and HDF5 would
    open the other file.

    Raises:
        Rejected: the path leads out of the file, in a circle, or to something else than a dataset.
    """
    parts, group = [part for part in path.split("/") if part], file["/"]
    links = 0
    while parts:
        part = parts.pop(0)
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > MAX_LINKS:
                raise Rejected(_link(path, "soft links in a circle", "link"))
            group = file["/"] if link.path.startswith("/") else group
            parts = [step for step in link.path.split("/") if step and step != "."] + parts
            continue
        if not isinstance(link, h5py.HardLink):
            found = f"a link into another file, {getattr(link, 'filename', 'of an unknown kind')}"
            raise Rejected(_link(path, found, "external"))
        group = group[part]
    if not isinstance(group, h5py.Dataset):
        kind = type(group).__name__.lower()
        raise Rejected(
            Defect(
                code="not_a_dataset",
                place=path,
                found=f"a {kind}",
                expected="a dataset",
                remedy="store the array under its name",
            )
        )
    _contained(group, path)
    return group


def _link(place: str, found: str, kind: str) -> Defect:
    code = "external_link" if kind == "external" else "broken_link"
    return Defect(
        code=code,
        place=place,
        found=found,
        expected="the data itself",
        remedy="copy the data into the episode's file, with h5repack",
    )


def _contained(dataset: h5py.Dataset, place: str) -> None:
    """Refuse a dataset whose values lie in other files."""
    if dataset.is_virtual:
        raise Rejected(_link(place, "a virtual dataset", "external"))
    if dataset.external:
        raise Rejected(_link(place, f"raw data in {dataset.external[0][0]}", "external"))


def check_storage(dataset: h5py.Dataset, place: str, *, decode_later: bool = False) -> None:
    """Check, before anything is read, that a dataset's values are there and fit into memory.

    Args:
        dataset: the dataset.
        place: its path in the file, for the defect.
        decode_later: do not decompress the chunks here, because the caller does so afterwards.

    Raises:
        Rejected: parts were never written or cannot be found, or a filter is unknown.
    """
    plist = dataset.id.get_create_plist()
    for index in range(plist.get_nfilters()):
        number, _, _, name = plist.get_filter(index)
        if not h5py.h5z.filter_avail(number):
            label = name.decode(errors="replace").strip("\0") or "unnamed"
            raise Rejected(
                Defect(
                    code="unknown_filter",
                    place=place,
                    found=f"compressed with filter {number} ({label})",
                    expected="gzip, or a filter that this HDF5 has",
                    remedy="recompress it: h5repack -f GZIP=1 OLD.h5 NEW.h5",
                )
            )
    if dataset.chunks is not None:
        check_chunks(dataset, place, decode_later=decode_later)
    elif dataset.id.get_storage_size() < dataset.nbytes:
        raise Rejected(incomplete(place, dataset.id.get_storage_size(), dataset.nbytes, "bytes"))

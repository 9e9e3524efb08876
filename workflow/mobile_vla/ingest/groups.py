"""Episodes that share a file: list their groups, and identify each by the content that is read.

An episode's identity is not that of its file: one that is appended leaves the others as they were.
"""

from __future__ import annotations

import fnmatch
import hashlib
import logging
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from mobile_vla.config.fields import Fields
from mobile_vla.files import canonical_json, sha256_of
from mobile_vla.ingest.attributes import (
    attribute_names,
    read_attribute,
    read_instruction_attribute,
)
from mobile_vla.ingest.encoded import read_stored
from mobile_vla.ingest.isolation import Announce, isolated
from mobile_vla.ingest.places import Places
from mobile_vla.ingest.rawfile import HDF5_ERRORS, Rejected, find, locate, open_raw, reading
from mobile_vla.result import FileDigest

log = logging.getLogger(__name__)

QUIET = 2.0  # seconds of hashing between messages
BLOCK = 8 << 20  # bytes that are read at a time where no chunk prescribes how many
WILD = re.compile(r"[*?\[]")


def content_of(path: Path, fields: Fields | None, group: str) -> FileDigest:
    """Return the identity of an episode that shares its file with others.

    It is a digest of what is read of it, as it is stored, and of the number of these bytes.

    Raises:
        Rejected: the file cannot be opened, or HDF5 fails at it.
        MachineError: the machine could not read it.
    """
    return isolated(partial(_content_in_file, path, Places.of(fields, group)))


def groups_of(path: Path, fields: Fields) -> dict[str, str]:
    """Return the groups of a file that are an episode each, with the identity of each.

    Raises:
        Rejected: the file cannot be opened, or HDF5 fails at the groups.
        MachineError: the machine could not read it.
    """
    try:
        return isolated(partial(_groups_in_file, path, fields))
    except Rejected:
        # An episode at which HDF5 crashes, or computes without end, must not hide the others.
        groups = isolated(partial(_listed, path, fields))
        return {group: _identity(path, fields, group) for group in groups}


def _identity(path: Path, fields: Fields, group: str) -> str:
    try:
        return content_of(path, fields, group).sha256
    except Rejected:
        return f"unreadable {sha256_of(path)}"


def _listed(path: Path, fields: Fields, announce: Announce) -> list[str]:
    announce("file")
    with open_raw(path) as file, reading("file"):
        return matching(file, fields.episodes or "")


def wild_parts(pattern: str, group: str) -> list[str]:
    """Return those parts of a group's path that tell it from the others of a pattern."""
    parts = [part for part in pattern.split("/") if part]
    levels = [part for part in group.split("/") if part]
    wild = [level for part, level in zip(parts, levels, strict=True) if WILD.search(part)]
    return wild or levels[-1:]


def _groups_in_file(path: Path, fields: Fields, announce: Announce) -> dict[str, str]:
    found: dict[str, str] = {}
    said = time.monotonic()
    with open_raw(path) as file:
        with reading("file"):
            groups = matching(file, fields.episodes or "")
        for number, group in enumerate(groups):
            announce(group)
            # A message a part would take longer than a small episode.
            found[group] = _content(file, Places.of(fields, group), lambda part: None).sha256
            if time.monotonic() - said > QUIET:
                log.warning("%s: hashed %d of %d episodes", path, number + 1, len(groups))
                said = time.monotonic()
    return found


def matching(file: h5py.File, pattern: str) -> list[str]:
    """Return the paths of the groups of a pattern, without opening any other file.

    A link that leads nowhere or out of the file counts as one: reading it says what is wrong.
    """
    level = [""]
    *above, last = [part for part in pattern.split("/") if part]
    for part in above:
        level = [path for group in level for path in _members(file, group, part, is_last=False)]
    return [path for group in level for path in _members(file, group, last, is_last=True)]


def _members(file: h5py.File, group: str, part: str, *, is_last: bool) -> Iterator[str]:
    """Yield the members of a group that a part of a pattern matches, arrays left out."""
    holder = locate(file, group)
    if not isinstance(holder, h5py.Group):
        return
    exact = not WILD.search(part)
    names = [part] if exact else sorted(name for name in holder if fnmatch.fnmatchcase(name, part))
    for name in names:
        path = f"{group}/{name}".lstrip("/")
        try:
            found = locate(file, path)
        except (Rejected, *HDF5_ERRORS):
            if is_last:
                yield path
            continue
        if isinstance(found, h5py.Group) or (found is None and is_last and not exact):
            yield path


def _content_in_file(path: Path, places: Places, announce: Announce) -> FileDigest:
    with open_raw(path) as file:
        return _content(file, places, announce)


def _content(file: h5py.File, places: Places, announce: Announce) -> FileDigest:
    """Digest an episode's arrays, texts and attributes, whatever their place in the file."""
    digest, size = hashlib.sha256(), 0
    texts = [] if "@" in places.instruction else [places.instruction]
    for path in [*places.arrays(), places.events, *texts]:
        announce(path)
        digest.update(f"\n{_name(path, places)} ".encode(errors="replace"))
        try:
            dataset = find(file, path)
            for piece in () if dataset is None else _stored(dataset, path):
                digest.update(piece)
                size += memoryview(piece).nbytes
        except Rejected as rejected:
            digest.update(",".join(defect.code for defect in rejected.defects).encode())
        except HDF5_ERRORS as error:
            digest.update(type(error).__name__.encode())
    announce("attributes")
    for said in (_attributes(file, places.group), "" if texts else _instruction(file, places)):
        digest.update(f"\n{said}".encode(errors="replace"))
    return FileDigest(sha256=digest.hexdigest(), size=size)


def _name(path: str, places: Places) -> str:
    """Return a path without the episode's group, so that equal episodes are equal."""
    return path.removeprefix(f"{places.group}/")


def _instruction(file: h5py.File, places: Places) -> str:
    """Return an instruction that is an attribute, maybe of a group that others change, too."""
    try:
        return read_instruction_attribute(file, places)
    except (Rejected, *HDF5_ERRORS) as error:
        return type(error).__name__


def _attributes(file: h5py.File, path: str) -> str:
    try:
        holder = locate(file, path)
        names = [] if holder is None else attribute_names(holder)
    except (Rejected, *HDF5_ERRORS) as error:
        return type(error).__name__
    values: dict[str, object] = {}
    for name in names:
        try:
            values[name] = read_attribute(holder, name)
        except HDF5_ERRORS as error:
            values[name] = type(error).__name__
    return canonical_json(values)


def _stored(dataset: h5py.Dataset, place: str) -> Iterator[bytes | memoryview]:
    """Yield what a dataset stores: its form, and its bytes as they lie in the file."""
    kind = dataset.id.get_type()
    yield f"{dataset.shape} {dataset.chunks} {dataset.dtype} ".encode() + kind.encode()
    if dataset.dtype.hasobject:
        # What lies in the file are addresses, which say nothing of the bytes there.
        for index in range(dataset.shape[0] if dataset.shape else 1):
            values = read_stored(dataset, index, index + 1, place) if dataset.shape else dataset[()]
            for value in np.atleast_1d(np.asarray(values, dtype=object)).ravel():
                content = value.encode() if isinstance(value, str) else bytes(value)
                yield f"{len(content)} ".encode() + content
    elif dataset.chunks is not None:
        filters = dataset.id.get_create_plist()
        numbers = [filters.get_filter(index)[0] for index in range(filters.get_nfilters())]
        yield f"{numbers} ".encode()
        starts: list[tuple[int, ...]] = []
        dataset.id.chunk_iter(lambda chunk: starts.append(chunk.chunk_offset))
        for start in sorted(starts):
            mask, content = dataset.id.read_direct_chunk(start)
            yield f"{start} {mask} ".encode()
            yield content
    elif dataset.shape and dataset.id.get_storage_size() >= dataset.size * kind.get_size():
        rows = max(1, BLOCK // max(1, dataset.size // max(1, dataset.shape[0]) * kind.get_size()))
        for first in range(0, dataset.shape[0], rows):
            yield np.ascontiguousarray(dataset[first : first + rows]).view(np.uint8).data
    elif dataset.shape == ():
        yield np.asarray(dataset[()]).tobytes()
    else:
        yield f"{dataset.id.get_storage_size()} bytes".encode()

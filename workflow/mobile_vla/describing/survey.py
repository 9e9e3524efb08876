"""List what an HDF5 file holds, in bounded time and without following a link out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import h5py
import numpy as np

from mobile_vla.ingest.attributes import attribute_names, whole_text
from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.encoded import format_of, may_be_encoded, read_stored
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.numbers import column_names
from mobile_vla.ingest.rawfile import HDF5_ERRORS, Rejected

MOST_GROUPS = 20  # of one group that are looked into: thousands of episodes look alike
MOST_ARRAYS = 5000
MOST_NAMED = 1000  # columns
LEAST_SIDE = 16  # pixels of what may be a picture
MEANT = re.compile(r"instruct|lang|task|prompt", re.IGNORECASE)
"""What a text is called that says what to do."""


@dataclass(frozen=True)
class Array:
    """An array of the file."""

    path: str
    """From the top of the file on."""
    shape: tuple[int, ...]
    kind: str
    """``images``, ``no images`` (pictures in another form), ``numbers``, ``text`` or ``other``."""
    form: str
    """Shape and type in words."""
    columns: tuple[str, ...] = ()
    """Names of its columns, where an attribute lists them."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return int(np.prod(self.shape[1:]))


@dataclass
class Survey:
    """What a file holds."""

    arrays: list[Array] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    """Paths of the groups that were looked into, with the number of groups in each."""
    texts: list[str] = field(default_factory=list)
    """Attributes that hold a text that may be an instruction, as ``GROUP@NAME``, ``/KEY`` for an
    entry of JSON."""
    links: list[str] = field(default_factory=list)
    """Links, which are not followed."""
    is_cut: bool = False
    """Whether there is more than was looked at."""

    def within(self, group: str) -> list[Array]:
        """Return the arrays in a group and below it."""
        return [array for array in self.arrays if is_within(array.path, group)]


def is_within(path: str, group: str) -> bool:
    """Whether a path stands below a group; all do below the top."""
    return not group or path.startswith(f"{group}/")


def natural(name: str) -> tuple[object, ...]:
    """Return a key that sorts ``demo_10`` behind ``demo_9``."""
    parts = re.split(r"(\d+)", name)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


def survey(file: h5py.File, announce: Announce) -> Survey:
    """Return what a file holds: of each group all arrays, and the first of many groups."""
    found, seen = Survey(), set()
    waiting: list[tuple[str, h5py.Group]] = [("", file["/"])]
    while waiting:
        path, group = waiting.pop(0)
        announce(path or "file")
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        found.texts += _texts(group, path)
        inner: list[str] = []
        for name in sorted(group, key=natural):
            if len(found.arrays) >= MOST_ARRAYS:
                found.is_cut = True
                break
            below = f"{path}/{name}".lstrip("/")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                found.links.append(below)
                continue
            try:
                kind = group.get(name, getclass=True)
                if kind is h5py.Group:
                    inner.append(name)
                elif kind is h5py.Dataset:
                    found.arrays.append(_array(group[name], below))
            except (Rejected, *HDF5_ERRORS):
                found.arrays.append(Array(below, (), "other", "damaged"))
        found.groups[path] = len(inner)
        waiting += [(f"{path}/{name}".lstrip("/"), group[name]) for name in inner[:MOST_GROUPS]]
    return found


def _array(dataset: h5py.Dataset, path: str) -> Array:
    shape: tuple[int, ...] = dataset.shape or ()
    kind = dataset.dtype
    form = f"{shape} {kind}"
    if len(shape) == 4 and shape[3] == 3 and kind == np.uint8:
        return Array(path, shape, "images", form)
    is_text = h5py.check_string_dtype(kind) is not None or kind.kind == "S"
    encoded = None
    if may_be_encoded(dataset) and shape[0] > 0:
        check_storage(dataset, path, decode_later=True)
        encoded = format_of(read_stored(dataset, 0, 1, path)[0])
    if encoded:
        return Array(path, shape, "images", f"{shape[0]} {encoded} files")
    if is_text:
        return Array(path, shape, "text", form)
    if len(shape) in (3, 4) and sorted(shape[1:])[-2] >= LEAST_SIDE:
        return Array(path, shape, "no images", form)
    if kind.kind == "f" and len(shape) in (1, 2) and 0 < int(np.prod(shape[1:])) <= MOST_NAMED:
        return Array(path, shape, "numbers", form, tuple(column_names(dataset, shape[-1])))
    return Array(path, shape, "other", form)


def _texts(group: h5py.Group, path: str) -> Iterator[str]:
    """Yield the attributes of a group that may hold an instruction."""
    for name in attribute_names(group):
        try:
            text = whole_text(group, name)
            entries = json.loads(text) if text and text.lstrip().startswith("{") else {}
        except (ValueError, *HDF5_ERRORS):
            continue
        keys = [key for key in entries if MEANT.search(key) and isinstance(entries[key], str)]
        yield from (f"{path}@{name}/{key}" for key in sorted(keys))
        if text and not entries and MEANT.search(name) and len(text) > 1:
            yield f"{path}@{name}"

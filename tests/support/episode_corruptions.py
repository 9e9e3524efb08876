"""Ways to spoil a good episode. Each is given the file's path; what it does is in its name."""

from __future__ import annotations

import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FRAMES = 18
SIZE = (24, 32)
SHAPE = (FRAMES, *SIZE, 3)
CHUNK = (1, *SIZE, 3)

Corruption = Callable[[Path], Any]


def edit(change: Callable[[h5py.File], object]) -> Corruption:
    """Make a spoiler of a function that edits the opened file."""

    def spoil(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil


def several(*corruptions: Corruption) -> Corruption:
    def spoil(path):
        for one in corruptions:
            one(path)

    return spoil


# What the file holds


def drop(name):
    return edit(lambda file: file.__delitem__(name))


def replace(name, **arguments):
    def change(file):
        if name in file:
            del file[name]
        file.create_dataset(name, **arguments)

    return edit(change)


def change_of(name, change):
    """Make a spoiler that replaces a dataset by a function of its values."""

    def spoil(file):
        values = change(file[name][()])
        del file[name]
        file[name] = values

    return edit(spoil)


def values(index, value):
    def change(file):
        file["actions"][index] = value

    return edit(change)


def actions(change):
    return change_of("actions", lambda found: change(found).astype(np.float32))


def events(*changes):
    def change(file):
        for row, event in changes:
            file["action_event_types"][row] = event

    return edit(change)


def attribute(name, value):
    return edit(lambda file: file.attrs.__setitem__(name, value))


def paint(frames, value):
    """Overwrite frames by a value, and by one more in every second frame: none equals the last."""

    def change(file):
        for frame in frames:
            file["images"][frame] = value + frame % 2

    return edit(change)


def repeat(*frames):
    """Make frames equal to the one before."""

    def change(file):
        for frame in frames:
            file["images"][frame] = file["images"][frame - 1]

    return edit(change)


def float_actions(exponent, mantissa, chunks=None):
    """Store the actions, complete, as floats of another format of 1 + exponent + mantissa bits."""

    def change(file):
        values = file["actions"][()]
        del file["actions"]
        bits = 1 + exponent + mantissa
        kind = h5py.h5t.IEEE_F16LE.copy()
        kind.set_fields(bits - 1, mantissa, exponent, 0, mantissa)
        kind.set_precision(bits)
        kind.set_size(bits // 8)
        kind.set_ebias(2 ** (exponent - 1) - 1)
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            how.set_chunk(chunks)
            how.set_deflate(1)
        space = h5py.h5s.create_simple(values.shape)
        stored = h5py.h5d.create(file.id, b"actions", kind, space, how)
        stored.write(h5py.h5s.ALL, h5py.h5s.ALL, values)

    return edit(change)


def images(change):
    return change_of("images", lambda found: change(found).astype(np.uint8))


swap_colours = images(lambda found: found[..., ::-1])


def shorten(frames):
    """Keep the first frames of everything."""

    def change(file):
        for name in ("images", "actions", "action_event_types"):
            kept = file[name][:frames]
            kind = file[name].dtype
            del file[name]
            file.create_dataset(name, data=kept, dtype=kind)
        file.attrs["num_frames"] = frames

    return edit(change)


def as_group(name):
    def change(file):
        del file[name]
        file.create_group(name)

    return edit(change)


def moved_images(file):
    file.move("images", "observations/images")


def plain_texts(file):
    del file["action_event_types"], file["language_instruction"]
    names = ["episode_start"] + ["start_action"] * (FRAMES - 1)
    file["action_event_types"] = np.array(names, dtype="S20")
    file["language_instruction"] = "  가장 왼쪽 외곽으로  "


# Where the data lie


def other_file(path):
    with h5py.File(path.parent / "outside.hdf5", "w") as file:
        file["images"] = np.zeros(SHAPE, dtype=np.uint8)


def external_link(path):
    other_file(path)
    drop("images")(path)
    link = h5py.ExternalLink("outside.hdf5", "images")
    edit(lambda file: file.__setitem__("images", link))(path)


def soft_link_outside(path):
    other_file(path)

    def change(file):
        del file["images"]
        file["there"] = h5py.ExternalLink("outside.hdf5", "/")
        file["images"] = h5py.SoftLink("/there/images")

    edit(change)(path)


def left_open(*, simultaneous):
    """Leave the file as a recorder does that was killed while it wrote."""

    def spoil(path):
        unfinished = path.with_suffix(".unfinished")
        with h5py.File(path) as old, h5py.File(unfinished, "w", libver="latest") as new:
            for name in old:
                old.copy(name, new)
            new.attrs.update(old.attrs)
            if simultaneous:
                new.swmr_mode = True
            new.flush()
            shutil.copy(unfinished, path)
        unfinished.unlink()

    return spoil


def virtual(path):
    other_file(path)

    def change(file):
        del file["images"]
        layout = h5py.VirtualLayout(SHAPE, np.uint8)
        layout[:] = h5py.VirtualSource("outside.hdf5", "images", SHAPE)
        file.create_virtual_dataset("images", layout)

    edit(change)(path)


def external_storage(path):
    size = int(np.prod(SHAPE))
    (path.parent / "outside.raw").write_bytes(bytes(size))
    outside = [(str(path.parent / "outside.raw"), 0, size)]
    replace("images", shape=SHAPE, dtype="u1", external=outside)(path)


def circle(file):
    del file["images"]
    file["images"] = h5py.SoftLink("/there")
    file["there"] = h5py.SoftLink("/images")


def soft_link_to_nowhere(file):
    del file["actions"]
    file["actions"] = h5py.SoftLink("/nowhere")


# Chunks, and the bytes of the file


def chunk_of(path, frame):
    with h5py.File(path) as file:
        return file["images"].id.get_chunk_info(frame)


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def flip_chunk(frame):
    def spoil(path):
        chunk = chunk_of(path, frame)
        flip(path, chunk.byte_offset + chunk.size // 2)

    return spoil


def write_chunk(frame, make, mask=0):
    """Write a chunk's bytes as they are to stand in the file, of the frame that is there."""

    def change(file):
        found = file["images"][frame].tobytes()
        file["images"].id.write_direct_chunk((frame, 0, 0, 0), make(found), mask)

    return edit(change)


def short_actions(file):
    file["actions"].id.write_direct_chunk((0, 0), zlib.compress(bytes(12)))


def misdirect(frame, to):
    """Let the index lead to another chunk."""

    def spoil(path):
        wrong, right = (struct.pack("<Q", chunk_of(path, one).byte_offset) for one in (frame, to))
        content = path.read_bytes()
        assert content.count(wrong) == 1
        path.write_bytes(content.replace(wrong, right))

    return spoil


def filter_number(number, name=b"lzf"):
    """Let the images be compressed by another filter, as the list of filters says."""

    def spoil(path):
        data = np.ones(SHAPE, np.uint8)
        replace("images", data=data, chunks=CHUNK, compression="lzf")(path)
        content, start = path.read_bytes(), struct.pack("<HH", 32000, 8)
        found = content.index(start)
        assert content.count(start) == 1 and content[found + 8 : found + 11] == b"lzf"
        entry = struct.pack("<H", number) + content[found + 2 : found + 8] + name.ljust(8, b"\0")
        path.write_bytes(content[:found] + entry + content[found + 16 :])

    return spoil


def declared_frames(count):
    return replace("images", shape=(count, *SHAPE[1:]), chunks=CHUNK, dtype="u1")


def write(content):
    return lambda path: path.write_bytes(content)


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


# The file itself


def link_to(target):
    def spoil(path):
        path.unlink()
        path.symlink_to(target(path))

    return spoil


def directory(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def forbid(path):
    path.chmod(0)


def rename(change):
    """Rename the file and the attribute that repeats its name."""

    def spoil(path):
        new = path.with_name(change(path.stem) + path.suffix)
        path.rename(new)
        attribute("episode_name", new.stem)(new)
        return new

    return spoil


def duplicate(path):
    twin = path.with_name(path.name.replace("_12", "_13", 1))
    shutil.copy(path, twin)
    attribute("episode_name", twin.stem)(twin)
    return twin


def duplicate_bytes(path):
    edit(lambda file: file.attrs.__delitem__("episode_name"))(path)
    twin = path.with_name(path.name.replace("_12", "_13", 1))
    shutil.copy(path, twin)
    return twin


# A folder of episodes


def each(spoil, which=""):
    """Make a spoiler of a folder: all files whose name holds a pattern."""

    def spoil_folder(folder):
        for path in sorted(folder.glob("*.h5")):
            if re.search(which, path.name):
                spoil(path)

    return spoil_folder


def same_actions(pattern):
    """Give all files that match the actions of the first one."""

    def spoil_folder(folder):
        first, *others = (one for one in sorted(folder.glob("*.h5")) if pattern in one.name)
        with h5py.File(first) as file:
            found = file["actions"][()]
        for path in others:
            replace("actions", data=found)(path)

    return spoil_folder

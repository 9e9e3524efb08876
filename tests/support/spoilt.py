"""Ways to spoil a good episode, each with the defect that it must be rejected for."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import h5py
import numpy as np

FRAMES = 6  # of the episode that is spoilt; its images are 24 by 32
SHAPE = (FRAMES, 24, 32, 3)


def edit(change):
    """Make a spoiler of a function that edits the opened file."""

    def spoil(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil


def replace(name, **arguments):
    def change(file):
        if name in file:
            del file[name]
        file.create_dataset(name, **arguments)

    return edit(change)


def drop(name):
    return edit(lambda file: file.__delitem__(name))


def values(index, value):
    def change(file):
        file["actions"][index] = value

    return edit(change)


def other_file(path):
    with h5py.File(path.parent / "outside.h5", "w") as file:
        file["images"] = np.zeros((FRAMES, 24, 32, 3), dtype=np.uint8)
    return "outside.h5"


def external_link(path):
    other_file(path)
    edit(lambda file: file.__delitem__("images"))(path)
    edit(lambda file: file.__setitem__("images", h5py.ExternalLink("outside.h5", "images")))(path)


def soft_link_outside(path):
    other_file(path)

    def change(file):
        del file["images"]
        file["there"] = h5py.ExternalLink("outside.h5", "/")
        file["images"] = h5py.SoftLink("/there/images")

    edit(change)(path)


def virtual(path):
    other_file(path)

    def change(file):
        del file["images"]
        layout = h5py.VirtualLayout((FRAMES, 24, 32, 3), np.uint8)
        layout[:] = h5py.VirtualSource("outside.h5", "images", (FRAMES, 24, 32, 3))
        file.create_virtual_dataset("images", layout)

    edit(change)(path)


def circle(file):
    del file["images"]
    file["images"] = h5py.SoftLink("/there")
    file["there"] = h5py.SoftLink("/images")


def as_group(file):
    del file["actions"]
    file.create_group("actions")


def flip_chunk(frame):
    def spoil(path):
        with h5py.File(path) as file:
            images = file["images"].id
            chunk = images.get_chunk_info(frame // file["images"].chunks[0])
        content = bytearray(path.read_bytes())
        content[chunk.byte_offset + chunk.size // 2] ^= 0x10
        path.write_bytes(content)

    return spoil


def unknown_filter(path):
    edit(lambda file: file.__delitem__("images"))(path)
    with h5py.File(path, "r+") as file:
        file.create_dataset(
            "images", data=np.ones((FRAMES, 24, 32, 3), np.uint8), chunks=(1, 24, 32, 3),
            compression="lzf",
        )  # fmt: skip
    content = path.read_bytes()
    number = struct.pack("<H", 32000)  # lzf, made a filter that nobody has registered
    assert content.count(number + struct.pack("<H", 8)) == 1
    path.write_bytes(content.replace(number, struct.pack("<H", 32999)))


def link_to_nowhere(path):
    path.unlink()
    path.symlink_to("nowhere.h5")


def link_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def directory(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def write(content):
    return lambda path: path.write_bytes(content)


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"
SPOILT = {
    "missing file": (Path.unlink, "missing", "file"),
    "dangling link": (link_to_nowhere, "broken_link", "file"),
    "circular link": (link_to_itself, "broken_link", "file"),
    "directory": (directory, "not_a_file", "file"),
    "pipe": (pipe, "not_a_file", "file"),
    "empty file": (write(b""), "empty_file", "file"),
    "lfs pointer": (write(LFS), "lfs_pointer", "file"),
    "text": (write(b"hello " * 100), "not_hdf5", "file"),
    "one byte": (write(b"h"), "not_hdf5", "file"),
    "cut in the signature": (cut(0.0002), "truncated", "file"),
    "cut in the superblock": (cut(0.002), "truncated", "file"),
    "cut in the middle": (cut(0.5), "truncated", "file"),
    "cut at the end": (cut(0.9999), "truncated", "file"),
    "no images": (drop("images"), "missing_dataset", "images"),
    "no actions": (drop("actions"), "missing_dataset", "actions"),
    "group for actions": (edit(as_group), "not_a_dataset", "actions"),
    "grey images": (replace("images", data=np.zeros(SHAPE[:3], np.uint8)), "wrong_shape", "images"),
    "four channels": (
        replace("images", data=np.zeros((*SHAPE[:3], 4), np.uint8)), "wrong_shape", "images",
    ),
    "float images": (replace("images", data=np.zeros(SHAPE, "f4")), "wrong_dtype", "images"),
    "no frames": (replace("images", shape=(0, 24, 32, 3), dtype="u1"), "no_frames", "images"),
    "empty dataspace": (replace("images", data=h5py.Empty("u1")), "wrong_shape", "images"),
    "scalar images": (replace("images", data=np.uint8(3)), "wrong_shape", "images"),
    "absurd length": (
        replace("images", shape=(10**12, 24, 32, 3), chunks=(1, 24, 32, 3), dtype="u1"),
        "absurd_size", "images",
    ),
    "absurd width": (
        replace("images", shape=(6, 24, 10**9, 3), chunks=(1, 24, 32, 3), dtype="u1"),
        "absurd_size", "images",
    ),
    "huge chunk": (
        replace("images", shape=(1000, 720, 1280, 3), chunks=(1000, 720, 1280, 3), dtype="u1"),
        "chunk_too_large", "images",
    ),
    "never written": (
        replace("images", shape=SHAPE, chunks=(1, 24, 32, 3), dtype="u1"), "incomplete", "images",
    ),
    "never written, contiguous": (
        replace("images", shape=SHAPE, dtype="u1"), "incomplete", "images",
    ),
    "two velocities": (
        replace("actions", data=np.zeros((FRAMES, 2), "f4")), "wrong_shape", "actions",
    ),
    "whole-number actions": (
        replace("actions", data=np.zeros((FRAMES, 3), "i4")), "wrong_dtype", "actions",
    ),
    "fewer actions": (
        replace("actions", data=np.zeros((FRAMES - 1, 3), "f4")), "unequal_length", "actions",
    ),
    "nan": (values((2, 1), np.nan), "not_finite", "actions, row 2, linear_y"),
    "infinite": (values((5, 0), -np.inf), "not_finite", "actions, row 5, linear_x"),
    "beyond float32": (
        replace("actions", data=np.full((FRAMES, 3), 1e300)), "not_finite",
        "actions, row 0, linear_x",
    ),
    "fewer events": (
        replace("action_event_types", data=["a"] * (FRAMES + 1)), "unequal_length",
        "action_event_types",
    ),
    "numbers for events": (
        replace("action_event_types", data=np.zeros(FRAMES)), "wrong_dtype", "action_event_types",
    ),
    "two instructions": (
        replace("language_instruction", data=["a", "b"]), "wrong_shape", "language_instruction",
    ),
    "external link": (external_link, "external_link", "images"),
    "soft link to an external one": (soft_link_outside, "external_link", "images"),
    "virtual dataset": (virtual, "external_link", "images"),
    "soft links in a circle": (edit(circle), "broken_link", "images"),
    "damaged chunk": (flip_chunk(4), "damaged_chunk", "images, frame 3"),
    "unknown filter": (unknown_filter, "unknown_filter", "images"),
}  # fmt: skip

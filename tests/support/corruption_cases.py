"""The catalogue of corruptions: what can be wrong with data, and what must be said of it.

A case is a way to spoil and the exact findings that it must give: severity, code and place, those
of ingest and of the audit together, no more and no fewer. The cases of ``FILES`` spoil one episode
of a faultless set of 37, those of ``SETS`` in ``set_corruptions.py`` a faultless set of 12 (one for
each combination of side, distance and style, which is thin, and the only thing to say of it).
"""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np

from support.encoded_files import encoded_images
from support.episode_corruptions import (
    CHUNK,
    FRAMES,
    SHAPE,
    SIZE,
    actions,
    as_group,
    attribute,
    change_of,
    circle,
    cut,
    declared_frames,
    directory,
    drop,
    duplicate,
    duplicate_bytes,
    edit,
    events,
    external_link,
    external_storage,
    filter_number,
    flip_chunk,
    float_actions,
    forbid,
    images,
    left_open,
    link_to,
    misdirect,
    paint,
    pipe,
    rename,
    repeat,
    replace,
    several,
    short_actions,
    shorten,
    soft_link_outside,
    soft_link_to_nowhere,
    swap_colours,
    values,
    virtual,
    write,
    write_chunk,
)

IT, THE_SET = "it", "the set"


def error(code, place="file", about=IT):
    return ("error", code, about, place)


def warning(code, place, about=IT):
    return ("warning", code, about, place)


def info(code, place, about=IT):
    return ("info", code, about, place)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"
OTHER_SIDE = "reach the front of the beverage bottle on the right"
KOREAN = "가장 오른쪽 외곽으로 돌아 컵까지 가세요"
STOPPED = [(row, "stop_action") for row in range(1, FRAMES)]
THIN = info("thin_cells", "coverage", THE_SET)


def text(content):
    return np.array([content.encode()], dtype="S256")


UNCLEAR = [warning("unclear_instruction", "language_instruction")]

FILES = {
    # Files
    "no such file": (Path.unlink, [error("missing")]),
    "a link to a file that is gone": (link_to(lambda _: "gone.h5"), [error("broken_link")]),
    "a link to itself": (link_to(lambda path: path.name), [error("broken_link")]),
    "a link through a file": (link_to(lambda _: "/dev/null/x.h5"), [error("broken_link")]),
    "permission denied": (forbid, [error("permission_denied")]),
    "a directory": (directory, [error("not_a_file")]),
    "a pipe": (pipe, [error("not_a_file")]),
    "0 bytes": (write(b""), [error("empty_file")]),
    "a Git-LFS pointer": (write(LFS), [error("lfs_pointer")]),
    "text": (write(b"hello " * 100), [error("not_hdf5")]),
    "one byte": (write(b"h"), [error("not_hdf5")]),
    "zeros": (write(bytes(100_000)), [error("not_hdf5")]),
    "a zip archive": (write(b"PK\x03\x04" + bytes(2000)), [error("not_hdf5")]),
    "cut in the signature": (cut(0.0001), [error("truncated")]),
    "cut in the superblock": (cut(0.001), [error("truncated")]),
    "cut after a tenth": (cut(0.1), [error("truncated")]),
    "cut in the middle": (cut(0.5), [error("truncated")]),
    "the last bytes cut": (cut(0.9999), [error("truncated")]),
    "noise after the signature": (
        write(b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 20), [error("unreadable")],
    ),
    "a flipped bit in a chunk": (flip_chunk(4), [error("damaged_chunk", "images, frame 4")]),
    "a chunk that is no gzip": (
        write_chunk(5, lambda _: b"\x01" * 300), [error("damaged_chunk", "images, frame 5")],
    ),
    "a chunk that unpacks to too little": (
        write_chunk(5, lambda image: zlib.compress(image[:99])),
        [error("damaged_chunk", "images, frame 5")],
    ),
    "a chunk that unpacks to too much": (
        write_chunk(5, lambda image: zlib.compress(image * 2)),
        [error("damaged_chunk", "images, frame 5")],
    ),
    "a chunk that unpacks to 64 MB": (
        write_chunk(5, lambda _: zlib.compress(bytes(1 << 26), 1)),
        [error("damaged_chunk", "images, frame 5")],
    ),
    "a chunk whose end is cut off": (
        write_chunk(5, lambda image: zlib.compress(image)[:-6]),
        [error("damaged_chunk", "images, frame 5")],
    ),
    "a chunk of actions that unpacks to too little": (
        edit(short_actions), [error("damaged_index", "actions")],
    ),
    "compressed bytes listed as plain ones": (
        write_chunk(5, zlib.compress, mask=1), [error("damaged_index", "images")],
    ),
    "an index that leads to another chunk": (
        misdirect(5, to=3), [error("damaged_index", "images")],
    ),
    "frames never written": (
        replace("images", shape=SHAPE, chunks=CHUNK, dtype="u1"), [error("incomplete", "images")],
    ),
    "frames never written, without chunks": (
        replace("images", shape=SHAPE, dtype="u1"), [error("incomplete", "images")],
    ),
    "recording stopped early": (
        several(
            declared_frames(FRAMES),
            edit(lambda file: file["images"].__setitem__(0, 1)),
        ),
        [error("incomplete", "images")],
    ),
    "a filter that no HDF5 has": (filter_number(99), [error("unknown_filter", "images")]),
    "gzip under a wrong number": (
        filter_number(257, b"deflate"), [error("unknown_filter", "images")],
    ),
    "one chunk of 2.8 GB": (
        replace(
            "images", shape=(1000, 720, 1280, 3), chunks=(1000, 720, 1280, 3), dtype="u1",
        ),
        [error("chunk_too_large", "images")],
    ),
    "small chunks of a thousand frames side by side": (
        replace("images", shape=(1000, 720, 1280, 3), chunks=(1000, 72, 128, 1), dtype="u1"),
        [error("chunk_too_large", "images")],
    ),
    "an external link": (external_link, [error("external_link", "images")]),
    "a soft link to an external one": (soft_link_outside, [error("external_link", "images")]),
    "a virtual dataset": (virtual, [error("external_link", "images")]),
    "values in a file beside it": (external_storage, [error("external_link", "images")]),
    "soft links in a circle": (edit(circle), [error("broken_link", "images")]),
    "a recorder killed while others could read": (
        left_open(simultaneous=True), [warning("left_open", "file")],
    ),
    "a recorder killed": (left_open(simultaneous=False), [error("unreadable")]),
    # Structure
    "no images": (drop("images"), [error("missing_dataset", "images")]),
    "no actions": (drop("actions"), [error("missing_dataset", "actions")]),
    "a soft link to nothing": (
        edit(soft_link_to_nowhere), [error("missing_dataset", "actions")],
    ),
    "a group for the actions": (as_group("actions"), [error("not_a_dataset", "actions")]),
    "a group for the images": (as_group("images"), [error("not_a_dataset", "images")]),
    "images of rank 3": (
        replace("images", data=np.zeros(SHAPE[:3], "u1")), [error("wrong_shape", "images")],
    ),
    "images of rank 5": (
        replace("images", data=np.zeros((1, *SHAPE), "u1")), [error("wrong_shape", "images")],
    ),
    "four channels": (
        replace("images", data=np.zeros((*SHAPE[:3], 4), "u1")), [error("wrong_shape", "images")],
    ),
    "images of no height": (
        replace("images", shape=(FRAMES, 0, 32, 3), dtype="u1"), [error("wrong_shape", "images")],
    ),
    "a number for the images": (
        replace("images", data=np.uint8(3)), [error("wrong_shape", "images")],
    ),
    "an empty dataspace": (
        replace("images", data=h5py.Empty("u1")), [error("wrong_shape", "images")],
    ),
    "images as floats in 0..1": (
        replace("images", data=np.zeros(SHAPE, "f4")), [error("wrong_dtype", "images")],
    ),
    "images of 16 bits": (
        replace("images", data=np.zeros(SHAPE, "u2")), [error("wrong_dtype", "images")],
    ),
    "T = 0": (
        replace("images", shape=(0, *SIZE, 3), dtype="u1"), [error("no_frames", "images")],
    ),
    "no actions at all": (
        replace("actions", shape=(0, 3), dtype="f4"), [error("no_frames", "actions")],
    ),
    "a million million frames": (declared_frames(10**12), [error("absurd_size", "images")]),
    "images a thousand million pixels wide": (
        replace("images", shape=(6, 24, 10**9, 3), chunks=CHUNK, dtype="u1"),
        [error("absurd_size", "images")],
    ),
    "a million million actions": (
        replace("actions", shape=(10**12, 3), chunks=(100, 3), dtype="f4"),
        [error("absurd_size", "actions")],
    ),
    "two velocities": (
        replace("actions", data=np.zeros((FRAMES, 2), "f4")), [error("wrong_shape", "actions")],
    ),
    "actions of rank 1": (
        replace("actions", data=np.zeros(FRAMES * 3, "f4")), [error("wrong_shape", "actions")],
    ),
    "whole-number actions": (
        replace("actions", data=np.zeros((FRAMES, 3), "i4")), [error("wrong_dtype", "actions")],
    ),
    "one action fewer": (
        change_of("actions", lambda found: found[:-1]), [error("unequal_length", "actions")],
    ),
    "one frame fewer": (
        change_of("images", lambda found: found[:-1]),
        [error("unequal_length", "action_event_types"), error("unequal_length", "actions")],
    ),
    "one event more": (
        replace("action_event_types", data=["a"] * (FRAMES + 1)),
        [error("unequal_length", "action_event_types")],
    ),
    "numbers for events": (
        replace("action_event_types", data=np.zeros(FRAMES)),
        [warning("unclear_events", "action_event_types")],
    ),
    "events in a table": (
        replace("action_event_types", data=[["a", "b"]] * FRAMES),
        [warning("unclear_events", "action_event_types")],
    ),
    "events of a megabyte each": (
        replace("action_event_types", shape=(FRAMES,), dtype="S1000000", chunks=(1,)),
        [warning("unclear_events", "action_event_types")],
    ),
    "events as whole numbers": (
        replace("action_event_types", data=np.arange(FRAMES) % 3),
        [warning("unclear_events", "action_event_types")],
    ),
    "events as bytes that are no text": (
        replace("action_event_types", data=np.arange(FRAMES).astype("u1")),
        [warning("unclear_events", "action_event_types")],
    ),
    "events never written": (
        replace("action_event_types", shape=(FRAMES,), dtype="S20"),
        [warning("unclear_events", "action_event_types")],
    ),
    "a number for the instruction": (replace("language_instruction", data=np.zeros(1)), UNCLEAR),
    "two instructions": (replace("language_instruction", data=["a", "b"]), UNCLEAR),
    "an instruction never written": (
        replace("language_instruction", shape=(1,), dtype="S256"), UNCLEAR,
    ),
    "a group for the instruction": (as_group("language_instruction"), UNCLEAR),
    "bytes for the instruction that are no text": (
        replace("language_instruction", data=np.arange(250, dtype="u1")), UNCLEAR,
    ),
    "an instruction in another encoding": (
        replace("language_instruction", data=np.array(["왼쪽으로".encode("cp949")], dtype="S256")),
        UNCLEAR,
    ),
    "actions as bfloat16": (
        float_actions(exponent=8, mantissa=7), [info("actions_rounded", "actions")],
    ),
    "actions as float8": (
        float_actions(exponent=4, mantissa=3, chunks=(FRAMES, 3)),
        [info("actions_rounded", "actions")],
    ),
    "actions as opaque values": (
        replace("actions", data=np.zeros((FRAMES, 3), dtype="V2")),
        [error("wrong_dtype", "actions")],
    ),
    "num_frames counts a frame more": (
        attribute("num_frames", FRAMES + 1),
        [warning("num_frames_differs", "attribute num_frames")],
    ),
    "a file that says another order of colours": (
        attribute("color", "bgr"), [error("color_contradicts_file", "attribute color")],
    ),
    "too short for window 8 and chunk 10": (
        shorten(17), [warning("too_short", "experiment usual", THE_SET)],
    ),
    # Images
    "black frames": (paint([3, 4, 5, 9], 2), [warning("black_frames", "images, frames 3-5, 9")]),
    "a white frame": (paint([17], 253), [warning("white_frames", "images, frame 17")]),
    "a frame of one colour": (paint([0], 120), [warning("flat_frames", "images, frame 0")]),
    "frozen frames": (repeat(6, 7), [warning("frozen_frames", "images, frames 6-7")]),
    "frames half the size": (
        images(lambda found: found[:, ::2, ::2]), [warning("other_image_size", "images")],
    ),
    "images that were normalised": (
        images(lambda found: found % 2), [warning("images_normalised", "images")],
    ),
    "red and blue swapped": (swap_colours, [warning("other_color_order", "images")]),
    "images as JPEG files": (encoded_images(), [info("encoded_images", "images")]),
    "a JPEG file cut off": (
        encoded_images(lambda files: [*files[:5], files[5][:-300], *files[6:]]),
        [error("damaged_chunk", "images, frame 5")],
    ),
    "files of another kind": (
        encoded_images(lambda files: [b"BM" + content for content in files]),
        [error("wrong_shape", "images")],
    ),
    # Actions
    "nan": (values((2, 1), np.nan), [error("not_finite", "actions, row 2, linear_y")]),
    "infinite": (values((17, 0), -np.inf), [error("not_finite", "actions, row 17, linear_x")]),
    "more than float32 holds": (
        replace("actions", data=np.full((FRAMES, 3), 1e300)),
        [error("not_finite", "actions, row 0, linear_x")],
    ),
    "a command beyond the scale": (
        values((5, 0), 1.3), [warning("actions_beyond_scale", "actions, row 5, linear_x")],
    ),
    "actions that were normalised": (
        actions(lambda found: found / 1.15), [warning("actions_normalised", "actions")],
    ),
    "a first action": (
        several(values((0, 0), 1.15), events((0, "start_action"))),
        [warning("first_action_not_zero", "actions, row 0")],
    ),
    "no action but zero": (
        several(actions(np.zeros_like), events(*STOPPED)),
        [warning("actions_all_zero", "actions")],
    ),
    "y points to the right": (
        actions(lambda found: found * (1, -1, 1)), [warning("side_sign", "actions, linear_y")],
    ),
    "events a frame late": (
        events((9, "stop_action")), [warning("events_disagree", "action_event_types, row 9")],
    ),
    "a start with a velocity": (
        events((9, "episode_start")), [warning("events_disagree", "action_event_types, row 9")],
    ),
    "no events": (drop("action_event_types"), [info("no_event_types", "action_event_types")]),
    "turning, which is not predicted": (
        values((5, 2), 0.25), [warning("unused_dimension", "actions, angular_z", THE_SET)],
    ),
    # Language
    "the other side in the instruction": (
        replace("language_instruction", data=text(OTHER_SIDE)),
        [warning("instruction_contradicts_name", "language_instruction")],
    ),
    "the other side in Korean": (
        replace("language_instruction", data=text(KOREAN)),
        [warning("instruction_contradicts_name", "language_instruction")],
    ),
    "a name without a side": (
        rename(lambda name: name.replace("_left", "")),
        [
            error("prompt_incomplete", "experiment usual, prompt", THE_SET),
            warning("scenario_incomplete", "name"),
            THIN,
        ],
    ),
    "a name without a distance": (
        rename(lambda name: name.replace("_close", "")),
        [info("name_outside_scheme", "name"), THIN],
    ),
    "a name in another order": (
        rename(lambda name: name.replace("left_core", "core_left")),
        [info("name_outside_scheme", "name")],
    ),
    "a name without a date": (
        rename(lambda name: "drive_" + name.split("_", 3)[3]),
        [info("name_outside_scheme", "name")],
    ),
    "an attribute with another name": (
        attribute("episode_name", "episode_1"),
        [warning("episode_name_differs", "attribute episode_name")],
    ),
    # Set
    "the same bytes twice": (duplicate_bytes, [warning("duplicate_file", "file")]),
    "the same content twice": (duplicate, [warning("duplicate_content", "file")]),
    "several things at once": (
        several(drop("images"), values((0, 0), np.nan), drop("action_event_types")),
        [error("missing_dataset", "images"), error("not_finite", "actions, row 0, linear_x")],
    ),
}  # fmt: skip

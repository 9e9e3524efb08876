"""Optional texts and attributes: what has one meaning is read, the rest is a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from mobile_vla.ingest.episode import read_episode
from mobile_vla.ingest.rawfile import Rejected
from mobile_vla.ingest.values import single, whole_number
from support.recorded import write_episode

FRAMES = 6
TEXT = "Navigate to the bottle, 왼쪽으로"
BYTES = TEXT.encode()
EVENTS = ["episode_start"] + ["start_action"] * (FRAMES - 1)
TEXTS = h5py.string_dtype()
PADDED = BYTES.ljust(256, b"\0")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "episode_20251103_091241_1box_hori_left_core_close.h5"
    write_episode(path, frames=FRAMES, size=(12, 16))
    return path


@pytest.fixture
def read(good, tmp_path):
    def replaced(place, change):
        path = tmp_path / good.name
        shutil.copy(good, path)
        with h5py.File(path, "r+") as file:
            if place in file:
                del file[place]
            change(file, place)
        with h5py.File(path) as file:
            return read_episode(file, lambda place: None)

    return replaced


def stored(values, **how):
    return lambda file, place: file.create_dataset(place, data=values, **how)


def texts_of_bytes(rows):
    """Rows of bytes of any length."""
    values = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):
        values[index] = np.frombuffer(row, dtype=np.uint8)
    return stored(values, dtype=h5py.vlen_dtype(np.uint8))


CLEAR = {
    "a scalar": stored(TEXT),
    "(1,) of fixed length": stored(np.array([BYTES], dtype="S256")),
    "(1, 1)": stored([[TEXT]], dtype=TEXTS),
    "(1, 1, 1) of fixed length": stored(np.array([[[BYTES]]], dtype="S100")),
    "(T,) the same": stored([TEXT] * FRAMES, dtype=TEXTS),
    "(T,) of fixed length": stored(np.array([BYTES] * FRAMES, dtype="S256")),
    "(T, 1)": stored([[TEXT]] * FRAMES, dtype=TEXTS),
    "(T,) but for blanks": stored([f" {TEXT} "] + [TEXT] * 5, dtype=TEXTS),
    "(T,) the first alone": stored([TEXT] + [""] * 5, dtype=TEXTS),
    "bytes": stored(np.frombuffer(BYTES, dtype=np.uint8)),
    "padded bytes": stored(np.frombuffer(PADDED, dtype=np.uint8)),
    "signed bytes": stored(np.frombuffer(PADDED, dtype=np.int8)),
    "(1, N) bytes": stored(np.frombuffer(PADDED, dtype=np.uint8)[np.newaxis]),
    "(T, N) bytes": stored(np.tile(np.frombuffer(PADDED, dtype=np.uint8), (FRAMES, 1))),
    "bytes of any length": texts_of_bytes([BYTES]),
    "(T,) bytes of any length": texts_of_bytes([BYTES] * FRAMES),
    "void": stored(np.void(BYTES)),
    "(1,) void": stored(np.array([PADDED], dtype="V256")),
    "(T,) void": stored(np.array([PADDED] * FRAMES, dtype="V256")),
    "(T,) that can grow": stored([TEXT] * FRAMES, dtype=TEXTS, maxshape=(None,)),
    "(T,) that can grow, compressed": stored(
        [TEXT] * FRAMES, dtype=TEXTS, maxshape=(None,), compression="lzf"
    ),
}


@pytest.mark.parametrize("change", CLEAR.values(), ids=CLEAR)
def test_an_instruction_with_one_meaning_is_read(read, change):
    episode = read("language_instruction", change)
    assert episode.instruction == TEXT and episode.notes == []


@pytest.mark.parametrize(
    "change",
    [
        stored(np.zeros(0, dtype="S256")),
        stored(np.zeros((0,)), dtype="f4"),
        stored(np.zeros((0, 256), dtype=np.uint8)),
        stored(h5py.Empty("S10")),
        stored([""], dtype=TEXTS),
        stored(np.zeros(256, dtype=np.uint8)),
    ],
)
def test_an_instruction_without_content_is_none(read, change):
    episode = read("language_instruction", change)
    assert episode.instruction is None and episode.notes == []


UNCLEAR = {
    "(T,) different ones": stored(["left"] * 5 + ["right"], dtype=TEXTS),
    "numbers": stored(np.arange(4)),
    "a number": stored(3.0),
    "a byte": stored(np.uint8(3)),
    "an embedding": stored(np.zeros((1, 512), dtype="f4")),
    "tokens": stored(np.array([1, 0, 5], dtype=np.uint8)),
    "bytes that are no UTF-8": stored(np.frombuffer("왼쪽".encode("cp949"), dtype=np.uint8)),
    "a table": stored(np.zeros(2, dtype=[("a", "S3"), ("b", "i4")])),
    "texts of a megabyte": stored(np.zeros(1, dtype="S1000000")),
    "a million texts": lambda file, place: file.create_dataset(place, (10**6,), TEXTS),
    "never written": lambda file, place: file.create_dataset(place, (1,), "S256"),
    "a group": lambda file, place: file.create_group(place),
    "in another file": lambda file, place: file.__setitem__(place, h5py.ExternalLink("b.h5", "a")),
    "references": lambda file, place: file.create_dataset(
        place, data=[file.ref], dtype=h5py.ref_dtype
    ),
    "booleans": stored(np.array([True, False])),
}


@pytest.mark.parametrize("change", UNCLEAR.values(), ids=UNCLEAR)
@pytest.mark.parametrize("place", ["language_instruction", "action_event_types"])
def test_a_text_without_a_clear_meaning_is_a_warning(read, place, change):
    if place == "action_event_types" and change is UNCLEAR["(T,) different ones"]:
        return  # as they are there
    episode = read(place, change)
    (note,) = episode.notes
    assert note.code == f"unclear_{'events' if 'event' in place else 'instruction'}"
    assert note.place == place and note.found and note.expected and note.remedy
    if place == "language_instruction":
        assert episode.instruction is None and episode.event_types == EVENTS
    else:
        assert episode.event_types is None and episode.instruction is not None


KINDS = {"stop_action": 0, "episode_start": 1, "start_action": 2}
ROWS = [text.encode().ljust(20, b"\0") for text in EVENTS]


@pytest.mark.parametrize(
    "change",
    [
        stored(np.array(ROWS, dtype="S20")),
        stored([[text] for text in EVENTS], dtype=TEXTS),
        stored([EVENTS], dtype=TEXTS),
        stored(np.array(ROWS, dtype="V20")),
        stored(np.frombuffer(b"".join(ROWS), dtype=np.uint8).reshape(FRAMES, 20)),
        texts_of_bytes([text.encode() for text in EVENTS]),
        stored([KINDS[text] for text in EVENTS], dtype=h5py.enum_dtype(KINDS, basetype="i1")),
        stored([KINDS[text] for text in EVENTS], dtype=h5py.enum_dtype(KINDS)),
        stored(EVENTS, dtype=TEXTS, maxshape=(None,)),
    ],
)
def test_events_with_one_meaning_are_read(read, change):
    episode = read("action_event_types", change)
    assert episode.event_types == EVENTS and episode.notes == []


@pytest.mark.parametrize("kind", ["u1", "i1", "i4", "i8", "u2"])
@pytest.mark.parametrize("number", [0, 1, 65])
def test_whole_numbers_for_events_are_a_warning(read, kind, number):
    episode = read("action_event_types", stored(np.full(FRAMES, number, dtype=kind)))
    assert [note.code for note in episode.notes] == ["unclear_events"]


def test_no_events_are_none(read):
    episode = read("action_event_types", stored(np.zeros(0, dtype="S20")))
    assert episode.event_types is None and episode.notes == []


LITTLE_MEMORY = """
import sys
import h5py
from mobile_vla.ingest import machine
from mobile_vla.ingest.episode import read_episode

machine.MEMORY = 4 << 20
with h5py.File(sys.argv[1]) as file:
    episode = read_episode(file, lambda place: None)
print([str(note.found) for note in episode.notes], episode.attributes)
"""


@pytest.fixture
def read_with_little_memory(good, tmp_path):
    """Read an episode with 4 MB, in a process of its own: in this one earlier tests left gaps."""

    def read(change):
        path = tmp_path / good.name
        shutil.copy(good, path)
        with h5py.File(path, "r+") as file:
            change(file)
        command = [sys.executable, "-c", LITTLE_MEMORY, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return read


@pytest.mark.parametrize("place", ["language_instruction", "action_event_types"])
@pytest.mark.parametrize("count", [1, FRAMES])
def test_texts_of_any_length_take_no_more_memory_than_allowed(
    read_with_little_memory, place, count
):
    def change(file):
        del file[place]
        file.create_dataset(place, data=["x" * (30_000_000 // count)] * count, dtype=TEXTS)

    assert read_with_little_memory(change).count("takes more than") == 1


def test_an_attribute_of_any_length_takes_no_more_memory_than_allowed(read_with_little_memory):
    printed = read_with_little_memory(
        lambda file: file.attrs.__setitem__("large", "x" * 30_000_000)
    )
    assert re.search(r"'large': 'more than [\d,]+ bytes, not read'", printed)
    assert f"'num_frames': {FRAMES}" in printed


def test_damage_in_a_text_rejects_the_episode_still(read):
    def change(file, place):
        file.create_dataset(place, data=np.array([BYTES], "S256"), chunks=(1,), compression="gzip")
        file[place].id.write_direct_chunk((0,), b"\x01" * 30)

    with pytest.raises(Rejected, match="damaged_index"):
        read("language_instruction", change)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((value, 18) for value in (18, 18.0, "18", " 18 ", "18.0", [18], [[18.0]], ["18"])),
        *((value, None) for value in (18.5, "18 frames", "", [], [17, 18], True, "inf", "nan")),
        *((value, None) for value in (None, {"a": 1}, "9" * 999)),
    ],
)
def test_a_whole_number_is_read_in_every_form(value, number):
    assert whole_number(value) == number


@pytest.mark.parametrize(
    "value", [18, "18", b"18", [18], np.float64(18.0), np.array(["18"], "S2"), np.void(b"18")]
)
def test_num_frames_as_collectors_store_it(read, value):
    episode = read("x", lambda file, place: file.attrs.__setitem__("num_frames", value))
    assert whole_number(episode.attributes["num_frames"]) == 18


def test_a_single_entry_is_the_value():
    assert single(["scene-12"]) == single([["scene-12"]]) == "scene-12"
    assert single([1, 2]) == [1, 2] and single([]) == []

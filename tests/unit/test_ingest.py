"""Raw files, good and bad: what ingest makes of them."""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.files import sha256_of
from mobile_vla.ingest import chunks, isolation
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.rawfile import Rejected
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from support.episode_corruptions import (
    FRAMES,
    SIZE,
    drop,
    edit,
    left_open,
    moved_images,
    plain_texts,
    replace,
    values,
)
from support.recorded import write_episode

EVENTS = ["episode_start"] + ["start_action"] * (FRAMES - 1)
NAME = "episode_20251103_091241_1box_hori_left_core_close"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / f"{NAME}.h5"
    write_episode(path, frames=FRAMES, size=SIZE)
    return path


@pytest.fixture
def raw(good, tmp_path):
    path = tmp_path / f"{NAME}.h5"
    shutil.copy(good, path)
    return path


def run(raw: Path, **images):
    """Ingest a file; return its facts and frames."""
    facts, frames = raw.parent / "out" / "facts.json", raw.parent / "out" / "frames.npy"
    wanted = IngestSettings(dataset="made", episode=raw.stem, images=Images(**images))
    ingest(wanted, EpisodeFiles(facts, frames), raw=raw)
    assert sorted(path.name for path in facts.parent.iterdir()) == ["facts.json", "frames.npy"]
    return EpisodeFacts.read(facts), np.load(frames)


def test_a_good_file_gives_facts_and_frames(good):
    facts, frames = run(good)
    with h5py.File(good) as file:
        images, actions = file["images"][()], file["actions"][()]
    assert facts.errors == [] and "notes" not in facts.model_dump(mode="json")
    assert facts.sha256 == sha256_of(good) and facts.size == good.stat().st_size
    assert facts.frames == FRAMES and facts.raw_shape == (24, 32, 3)
    assert facts.group == NAME
    assert facts.scenario["side"] == "left"
    assert facts.event_types == EVENTS
    assert facts.instruction.endswith("beverage bottle on the left")
    assert facts.attributes["num_frames"] == FRAMES
    np.testing.assert_array_equal(np.array(facts.actions, dtype=np.float32), actions)
    expected = np.stack([to_frame(image, Images()) for image in images])
    np.testing.assert_array_equal(frames, expected)
    statistics = facts.image_statistics
    np.testing.assert_allclose(statistics.mean, expected.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(statistics.frame_mean, expected.mean((1, 2, 3)), atol=1e-3)
    np.testing.assert_allclose(statistics.frame_std, expected.std((1, 2, 3)), atol=1e-3)
    assert statistics.repeats == []
    assert statistics.max == expected.max()
    for listed in (statistics.sharpness, statistics.dark, statistics.bright, statistics.change):
        assert len(listed) == FRAMES and min(listed) >= 0
    assert max(map(abs, statistics.pan)) > 0.01  # the box moves
    grey = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in expected])
    small = grey.reshape(FRAMES, 8, 28, 8, 28).mean((2, 4))
    np.testing.assert_allclose(statistics.small_pictures(), small, atol=1)
    lower = expected[:, 112:].astype(int)
    for name, margin in (
        ("red", lower[..., 0] - lower[..., 2]),
        ("blue", lower[..., 2] - lower[..., 0]),
    ):
        np.testing.assert_allclose(
            getattr(statistics.strong, name), (margin > 64).mean(), atol=1e-5
        )


def test_a_folders_name_is_no_part_of_the_scenario(good, tmp_path):
    wanted = IngestSettings(dataset="made", episode=f"right--{NAME}", images=Images())
    ingest(wanted, EpisodeFiles(tmp_path / "facts.json", tmp_path / "frames.npy"), raw=good)
    facts = EpisodeFacts.read(tmp_path / "facts.json")
    assert facts.episode == facts.group == f"right--{NAME}"
    assert facts.scenario["side"] == "left"


def test_the_same_file_gives_the_same_bytes(raw):
    run(raw)
    once = [path.read_bytes() for path in sorted((raw.parent / "out").iterdir())]
    run(raw)
    assert [path.read_bytes() for path in sorted((raw.parent / "out").iterdir())] == once


def test_all_breaches_are_reported_together(raw):
    drop("images")(raw)
    values((0, 0), np.nan)(raw)
    codes = [error.code for error in run(raw)[0].errors]
    assert codes == ["missing_dataset", "not_finite"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (moved_images, {}),
        (lambda file: file.__delitem__("action_event_types"), {"event_types": None}),
        (lambda file: file.__delitem__("language_instruction"), {"instruction": None}),
        (
            plain_texts,
            {"event_types": EVENTS, "instruction": "가장 왼쪽 외곽으로"},
        ),
        (lambda file: file.attrs.__setitem__("scene", "scene-12"), {"group": "scene-12"}),
        (lambda file: file.attrs.__setitem__("scene", np.int64(7)), {"group": "7"}),
    ],
)
def test_what_the_contract_leaves_open_is_accepted(raw, change, expected):
    edit(change)(raw)
    facts, frames = run(raw)
    assert facts.errors == []
    assert len(frames) == FRAMES
    assert {key: getattr(facts, key) for key in expected} == expected


def test_odd_attributes_become_plain_values(raw):
    def change(file):
        file.attrs["nan"] = np.nan
        file.attrs["array"] = np.arange(3)
        file.attrs["bytes"] = b"\xff\xfe"
        file.attrs["flag"] = True
        file.attrs["empty"] = h5py.Empty("f4")

    edit(change)(raw)
    attributes = run(raw)[0].attributes
    assert attributes["nan"] == "nan"
    assert attributes["array"] == [0, 1, 2]
    assert attributes["flag"] is True
    assert isinstance(attributes["bytes"], str) and isinstance(attributes["empty"], str)


def test_attributes_of_megabytes_are_not_read(raw):
    path = raw.with_name("large.h5")
    with h5py.File(raw) as old, h5py.File(path, "w", libver="latest") as new:
        for name in old:
            old.copy(name, new)
        new.attrs["large"] = np.zeros(1 << 20, dtype="u2")
    facts, _ = run(path)
    assert facts.errors == [] and facts.attributes["large"] == "2,097,152 bytes, not read"


def test_a_recorder_that_was_killed_leaves_its_episode_to_be_read(raw):
    expected = run(raw)[1]
    left_open(simultaneous=True)(raw)
    facts, frames = run(raw)
    assert facts.errors == [] and [note.code for note in facts.notes] == ["left_open"]
    assert f"h5clear -s {raw}" in str(facts.notes[0].remedy)
    np.testing.assert_array_equal(frames, expected)
    raw.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    assert [error.code for error in run(raw)[0].errors] == ["truncated"]


def test_the_command_that_mends_a_file_left_open_is_named(raw):
    left_open(simultaneous=False)(raw)
    (error,) = run(raw)[0].errors
    assert error.code == "unreadable" and f"h5clear -s {raw}" in str(error.remedy)


def test_repeated_images_are_recorded(raw):
    def change(file):
        file["images"][3] = file["images"][2]

    edit(change)(raw)
    assert run(raw)[0].image_statistics.repeats == [3]


@pytest.mark.parametrize(
    "storage",
    [
        {"chunks": (1, 24, 32, 3), "compression": "gzip"},
        {"chunks": (4, 24, 32, 3), "compression": "gzip", "shuffle": True},
        {"chunks": (FRAMES, 24, 32, 3), "compression": "gzip", "compression_opts": 9},
        {"chunks": (5, 7, 9, 2), "compression": "gzip"},
        {"chunks": (4, 24, 32, 3)},
        {"chunks": (4, 24, 32, 3), "compression": "lzf"},
        {"chunks": (5, 7, 9, 2), "compression": "gzip", "fletcher32": True},
        {"chunks": (100, 24, 32, 3), "compression": "gzip", "maxshape": (None, 24, 32, 3)},
        {},
    ],
    ids=str,
)
def test_frames_do_not_depend_on_the_storage(raw, monkeypatch, storage):
    expected = run(raw)[1]
    with h5py.File(raw) as file:
        data = file["images"][()]
    replace("images", data=data, **storage)(raw)
    monkeypatch.setattr(chunks, "CONTIGUOUS_BYTES", 5 * 24 * 32 * 3)
    facts, frames = run(raw)
    assert facts.errors == []
    np.testing.assert_array_equal(frames, expected)


def test_a_reader_that_loops_or_crashes_is_a_defect(monkeypatch):
    def loop(progress):
        progress("images, frame 7")
        while True:
            pass

    def crash(progress):
        progress("actions")
        faulthandler.disable()  # it would print the stack of a crash that is wanted
        os.kill(os.getpid(), signal.SIGFPE)

    monkeypatch.setattr(isolation, "STALL_SECONDS", 0.2)
    for work, place, text in (
        (loop, "images, frame 7", "did not come to an end"),
        (crash, "actions", "crashed (SIGFPE)"),
    ):
        with pytest.raises(Rejected) as error:
            isolation.isolated(work)
        assert error.value.defects[0].place == place
        assert text in str(error.value.defects[0].found)


def test_other_errors_of_the_reader_pass_through():
    def full(progress):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        isolation.isolated(full)

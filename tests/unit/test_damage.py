"""Damage at random: never a traceback, never a hang, never silently accepted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobile_vla.config.audit import CATALOGUE
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest import isolation
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from support.recorded import write_episode

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
NAME = "episode_20251103_091241_1box_hori_left_core_close.h5"


def read(content):
    """Ingest a file of that content; return its facts and frames."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        (folder / NAME).write_bytes(content)
        ingest(
            IngestSettings(dataset="made", episode="made", images=Images().settled()),
            EpisodeFiles(folder / "facts.json", folder / "frames.npy"),
            raw=folder / NAME,
        )
        assert len(list(folder.iterdir())) == 3
        return EpisodeFacts.read(folder / "facts.json"), np.load(folder / "frames.npy")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / NAME
    write_episode(path, frames=6, size=(12, 16))
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(good):
    facts, frames = read(good)
    assert not facts.errors
    return facts, frames


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(isolation, "STALL_SECONDS", 5.0)


def check_found_or_harmless(content, whole):
    """Check that damage is found, or hits nothing that is trained on.

    Frames and actions are compressed, and gzip has a checksum. Texts and attributes have none in
    HDF5's common format: a letter of the instruction may change without anything to notice it by.
    """
    try:
        facts, frames = read(content)
    except UserError as error:  # the number of a filter that might be installed elsewhere
        assert "compressed with filter" in str(error)
        return
    for error in facts.errors:
        assert CATALOGUE[error.code].severity == "error"
        assert all(error.model_dump().values())
    if not facts.errors:
        assert facts.actions == whole[0].actions
        np.testing.assert_array_equal(frames, whole[1])


@settings(max_examples=15)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_is_rejected(good, whole, share):
    facts, frames = read(good[: int(len(good) * share)])
    assert [error.code for error in facts.errors] in (
        [["truncated"], ["empty_file"]] if share else [["empty_file"]]
    )
    assert len(frames) == 0


@settings(max_examples=20)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_harmless(good, whole, share, bit):
    content = bytearray(good)
    content[int(len(good) * share)] ^= 1 << bit
    check_found_or_harmless(bytes(content), whole)


@settings(max_examples=15)
@given(share=st.floats(0, 1, exclude_max=True), noise=st.binary(min_size=1, max_size=300))
def test_overwritten_bytes_are_found_or_harmless(good, whole, share, noise):
    position = int(len(good) * share)
    content = good[:position] + noise + good[position + len(noise) :]
    check_found_or_harmless(content[: len(good)], whole)


@settings(max_examples=15)
@given(
    head=st.sampled_from([b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n\x02\x08\x08"]),
    noise=st.binary(max_size=500),
)
def test_noise_is_rejected(head, noise):
    facts, frames = read(head + noise)
    assert facts.errors and len(frames) == 0

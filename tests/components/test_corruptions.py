"""The catalogue of corruptions: each case gives its findings, and nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from mobile_vla.config.audit import CATALOGUE, AuditedExperiment, AuditSettings, Declared
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.files import sha256_of
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from support import corruption_cases, quality_corruptions, set_corruptions
from support.clean_facts import assessed
from support.corruption_cases import IT, THE_SET
from support.episode_corruptions import (
    CHUNK,
    FRAMES,
    SIZE,
    change_of,
    chunk_of,
    drop,
    edit,
    flip,
    images,
    moved_images,
    plain_texts,
    replace,
)
from support.recorded import write_episode, write_folder
from support.thinning import thinned

FILES = corruption_cases.FILES | quality_corruptions.FILES
SETS = set_corruptions.SETS | quality_corruptions.SETS

NAME = "episode_20251201_120000_1box_hori_left_core_close"
NOBODY = 65534


SOUND = {
    "nothing": lambda path: None,
    "images under observations": edit(moved_images),
    "no instruction": drop("language_instruction"),
    "texts of fixed length, or of none": edit(plain_texts),
    "actions in double precision": change_of("actions", lambda found: found.astype("f8")),
    "no attributes": edit(lambda file: [file.attrs.__delitem__(name) for name in list(file.attrs)]),
    "one chunk for the whole episode": images(lambda found: found),
    "a link to a file elsewhere": lambda path: path.symlink_to(path.rename(path.with_suffix(".x"))),
    "bytes after the end": lambda path: path.write_bytes(path.read_bytes() + bytes(100)),
}  # fmt: skip


def flip_plain_pixel(path):
    replace("images", data=h5py.File(path)["images"][()], chunks=CHUNK)(path)
    flip(path, chunk_of(path, 4).byte_offset + 7)


UNNOTICED = {
    # Uncompressed data have no checksum. The SHA-256 of the whole file is in the facts all the
    # same: a bit that flips after the first ingest makes another file, which is ingested anew.
    "a flipped bit in an uncompressed image": flip_plain_pixel,
}


@pytest.fixture(scope="module")
def folder():
    """A folder in memory: hundreds of small files, each made durable, take long on a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def good_facts(folder):
    return facts_of(write_folder(folder / "good", 36, size=SIZE), folder / "facts")


@pytest.fixture
def place(folder):
    """An empty folder that anyone may write to."""
    path = Path(tempfile.mkdtemp(dir=folder))
    path.chmod(0o777)
    return path


@pytest.fixture(scope="module")
def patient(folder):
    write_episode(folder / f"{NAME}.h5", seed=99, size=SIZE)
    return folder / f"{NAME}.h5"


KNOWN = {}
"""Facts by name and content of the file: of a set, one case spoils a part only."""


def facts_of(paths, out):
    every = []
    for path in paths:
        key = (path.name, sha256_of(path)) if readable(path) else None
        if key not in KNOWN:
            facts, frames = out / f"{path.stem}.json", out / f"{path.stem}.npy"
            settings = IngestSettings(dataset="made", episode=path.stem, images=Images().settled())
            ingest(settings, EpisodeFiles(facts, frames), raw=path)
            KNOWN[key] = EpisodeFacts.read(facts)
            # what is rejected leaves no frames behind, and what is not is whole
            length = 0 if KNOWN[key].errors else len(KNOWN[key].actions)
            assert len(np.load(frames, mmap_mode="r")) == KNOWN[key].frames == length
        every.append(KNOWN[key])
        if key is None:
            del KNOWN[None]
    return every


def readable(path):
    return path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o444


@contextmanager
def unprivileged():
    """Give up the rights of root, who may read everything, for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def found(
    every, about, template="pass on the {side}", dimensions=("linear_x", "linear_y"), left_out=""
):
    experiment = AuditedExperiment(
        name="usual", windows=Windows(window=8, chunk=10), prompt=Prompt(template=template)
    )
    declared = Declared(actions=Actions(dimensions=dimensions))
    settings = AuditSettings(
        dataset="made", declared=declared, experiments=(experiment,), left_out=left_out
    )
    findings, _ = assessed(sorted(every, key=lambda facts: facts.episode), settings)
    names = {None: THE_SET, about: IT}
    for one in findings:
        assert all(map(str, (one.found, one.expected, one.remedy, one.place)))
    return sorted(
        (one.severity, one.code, names.get(one.episode, one.episode), one.place) for one in findings
    )


def spoilt(spoil, patient, place):
    """Spoil a copy of the patient; return where it lies then, and the facts of all files."""
    raw = place / patient.name
    shutil.copy(patient, raw)
    result = spoil(raw)
    it = result if isinstance(result, Path) else raw
    paths = sorted({it, *place.glob("*.h5")})
    with unprivileged():
        return it, facts_of(paths, place / "out")


def test_a_good_set_gives_no_finding(good_facts, patient, place):
    _, facts = spoilt(SOUND["nothing"], patient, place)
    assert found([*good_facts, *facts], None) == []


@pytest.mark.parametrize("case", thinned(FILES, 3))
def test_a_spoilt_file_gives_these_findings_and_no_others(case, good_facts, patient, place):
    spoil, expected = FILES[case]
    it, facts = spoilt(spoil, patient, place)
    assert found([*good_facts, *facts], it.stem) == sorted(expected)


@pytest.mark.parametrize("case", thinned(SETS, 3))
def test_a_spoilt_set_gives_these_findings_and_no_others(case, place):
    spoil, expected = SETS[case]
    write_folder(place, 12, size=SIZE, seed=7)  # in which sequences differ
    settings = spoil(place) or {}
    left = sorted(place.glob("*.h5"))
    every = facts_of(left, place / "out")
    assert found(every, left[0].stem, **settings) == sorted(expected)


@pytest.mark.parametrize("case", SOUND)
def test_what_is_left_open_gives_no_finding(case, good_facts, patient, place):
    _, (facts,) = spoilt(SOUND[case], patient, place)
    assert found([*good_facts, facts], None) == []
    assert facts.frames == FRAMES


@pytest.mark.parametrize("case", UNNOTICED)
def test_what_nothing_in_the_file_betrays(case, good_facts, patient, place):
    _, (facts,) = spoilt(UNNOTICED[case], patient, place)
    assert found([*good_facts, facts], None) == []
    whole = facts_of([patient], place / "out")[0]
    assert facts.sha256 != whole.sha256


def test_the_catalogue_is_large_and_holds_every_code():
    cases = [*FILES.values(), *SETS.values()]
    assert len(cases) >= 60
    produced = {(code, severity) for _, expected in cases for severity, code, *_ in expected}
    assert produced == {(code, kind.severity) for code, kind in CATALOGUE.items()}

"""Thousands of odd inputs: each is taken, or refused in words that say where; none costs much."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from fuzz.configurations import configurations, texts
from fuzz.episodes import damaged, damages
from mobile_vla.audit.audit import assess
from mobile_vla.config.audit import AuditSettings, Declared
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.loading import read_project
from mobile_vla.config.windows import Actions
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from support.limited import MEMORY, limited
from support.recorded import names, write_episode

SEED = 20251106
FEW = {"configurations": 150, "texts": 40, "episodes": 40}
MANY = {"configurations": 2500, "texts": 400, "episodes": 400}


def plan(file):
    """Read a configuration, and from it what a plan asks for: the settings of each job."""
    project = read_project(file)
    for name, run in project.runs():
        project.train(name, run)
        project.evaluate(name, run).canonical()
    project.page().canonical()


def read(raw, out):
    """Read an episode and audit it."""
    settings = IngestSettings(dataset="made", episode=raw.stem, images=Images().settled())
    files = EpisodeFiles(out.with_suffix(".json"), out.with_suffix(".npy"))
    ingest(settings, files, raw=raw)
    declared = Declared(actions=Actions())
    audited = AuditSettings(dataset="made", declared=declared)
    for one in assess([EpisodeFacts.read(files.facts)], audited).findings:
        assert all((one.found, one.expected, one.remedy, one.place))


def check(outcomes):
    """Check that no input ended in a traceback or without an end, or took much memory."""
    wrong = {
        name: f"{outcome.kind}: {outcome.message[-1500:]}"
        for name, outcome in outcomes.items()
        if outcome.kind not in ("accepted", "refused") or outcome.memory > MEMORY
    }
    shown = "\n\n".join(f"{name}: {text}" for name, text in list(wrong.items())[:12])
    assert not wrong, f"{len(wrong)} of {len(outcomes)}\n{shown}"


def check_places(outcomes):
    """Check that each problem of a refused configuration begins with its file."""
    for name, outcome in outcomes.items():
        if outcome.kind == "refused":
            first, *lines = outcome.message.splitlines()
            problems = [line for line in lines if not line.startswith(" ")]
            assert problems, f"{name}: {first}"
            for problem in problems:
                assert re.match(r"config\.yaml(:\d+)?( \(.*?\))?: ", problem), (name, problem)


def of_files(contents, folder, monkeypatch):
    """Read each content as a config.yaml."""
    monkeypatch.chdir(folder)
    (folder / "presets").mkdir()
    file, outcomes = Path("config.yaml"), {}
    for index, content in enumerate(contents):
        file.write_bytes(content)
        outcomes[str(index)] = limited(lambda: plan(file))
    return outcomes


SIZES = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.long)]


@pytest.mark.parametrize("size", SIZES)
def test_configurations(size, tmp_path, monkeypatch):
    made = (text.encode() for text in configurations(SEED, size["configurations"]))
    outcomes = of_files(made, tmp_path, monkeypatch)
    check(outcomes)
    check_places(outcomes)
    kinds = Counter(outcome.kind for outcome in outcomes.values())
    assert min(kinds["accepted"], kinds["refused"]) > 0.05 * len(outcomes), kinds


@pytest.mark.parametrize("size", SIZES)
def test_texts(size, tmp_path, monkeypatch):
    outcomes = of_files(texts(SEED, size["texts"]), tmp_path, monkeypatch)
    check(outcomes)
    check_places(outcomes)


@pytest.mark.parametrize("size", SIZES)
def test_damaged_episodes(size, tmp_path):
    good = tmp_path / f"{names(1)[0]}.h5"
    write_episode(good, size=(36, 64))
    (tmp_path / "damaged").mkdir()
    outcomes = {}
    for name, damage in damages(SEED, size["episodes"]):
        raw = damaged(good, tmp_path / "damaged" / good.name, damage)
        outcomes[name] = limited(lambda raw=raw: read(raw, tmp_path / "out"))
    check(outcomes)

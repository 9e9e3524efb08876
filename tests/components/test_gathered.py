"""Commands that gather results read what their settings list, which is what their rules track."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobile_vla.commands import COMMANDS
from mobile_vla.config.base import Gathered
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.reporting import (
    CrateSettings,
    FigureSettings,
    PartialSettings,
    TableSettings,
)
from mobile_vla.layout import EpisodeFiles, PartialFiles
from mobile_vla.reporting.page_files import template_files
from mobile_vla.texts import texts_file
from support.project import ROOT
from support.report import hollow
from support.results import UNCERTAINTY, Results, make_results

ENGLISH, KOREAN = texts_file("en"), texts_file("ko")


@dataclass(frozen=True)
class Reads:
    """What a command read."""

    results: set[Path]
    sources: set[Path]
    packages: set[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return two experiments in Korean, with figures for the page."""
    folder, others = tmp_path_factory.mktemp("made"), ("corridor",)
    made = make_results(folder, 2, others=others, ablation="lora", driven=("lora",))
    figures = ("action_sequences", "coverage", "closed_loop", "episodes", "velocity_traces")
    changes = {"language": "ko", "figures": figures}
    made.settings = made.settings.model_copy(update=changes)
    hollow(made)
    return made


def settings_of(command: str, made: Results) -> Gathered:
    page = made.settings
    runs = tuple(
        ComparedRun(**run.names(), rolled_out=True, driven=run.driven) for run in page.runs
    )
    given: dict[str, Gathered] = {
        "compare": CompareSettings(runs=runs, uncertainty=UNCERTAINTY),
        "tables": TableSettings.part_of(page),
        "figures": FigureSettings.part_of(page),
        "page": page,
        "crate": CrateSettings(page=page),
        "partial_report": PartialSettings(report=page, uncertainty=UNCERTAINTY),
    }
    return given[command]


def reads(command: str, settings: Gathered, results: Path) -> Reads:
    """Run a command in an interpreter that notes which files it opens."""
    stage = COMMANDS[command].stage
    finished = subprocess.run(
        [
            *(sys.executable, str(ROOT / "tests/support/reads.py")),
            *(stage, command, type(settings).__name__, str(results)),
        ],
        input=settings.canonical(),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    noted = json.loads(finished.stdout.splitlines()[-1])
    opened = {Path(path) for path in noted["opened"]}
    inside = {path for path in opened if path.is_relative_to(results)}
    return Reads(inside, opened - inside, set(noted["packages"]))


def test_each_command_that_gathers_is_tried_here(made: Results) -> None:
    for name, command in COMMANDS.items():
        if command.gathers:
            assert isinstance(settings_of(name, made), Gathered)


@pytest.mark.parametrize(
    ("command", "sources"),
    [("compare", set()), ("tables", set()), ("page", {KOREAN, *template_files()})],
)
def test_all_that_is_read_is_listed_and_all_that_is_listed_is_read(
    made: Results, command: str, sources: set[Path]
) -> None:
    settings = settings_of(command, made)
    found = reads(command, settings, made.results)
    assert found.results == set(settings.files(made.results))
    assert found.sources == sources
    assert not found.packages & {"matplotlib", "torch"}


@pytest.mark.parametrize("command", ["figures", "partial_report"])
def test_drawing_reads_frames_beside_the_manifest_and_drives_of_one_run(
    made: Results, command: str
) -> None:
    settings = settings_of(command, made)
    found = reads(command, settings, made.results)
    listed = set(settings.files(made.results))
    frames = EpisodeFiles.below(made.results, dataset="demo", episode="x").frames.parent
    derived = PartialFiles.below(made.results).report.parent
    others = {path for path in found.results if not path.is_relative_to(derived)} - listed
    assert others and {path.parent for path in others} == {frames}
    # Whose drives are drawn, only the results say.
    assert {path.name for path in listed - found.results} <= {"rollouts.npz"}
    assert {"predictions.npz", "rollouts.npz"} <= {path.name for path in found.results}
    # English where no font of the machine has the letters of the language.
    sources = {KOREAN} if command == "figures" else {KOREAN, *template_files()}
    assert found.sources - {ENGLISH} == sources

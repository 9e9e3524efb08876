"""Hundreds of recorded episodes: audited, split, learnt from and shown; then one more."""

import json
import re

import pytest

from support.project import SMALL, Project
from support.recorded import write_folder

pytestmark = pytest.mark.long

COUNT = 250
CONFIG = (
    SMALL.replace(
        "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n",
        "    kind: recorded\n    path: ../episodes\n",
    )
    .replace(
        "    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: [side]}",
        "    split: {train: 0.7, val: 0.15, test: 0.15}",
    )
    .replace("  lora:\n    lora: {r: 4}\n", "")
    .replace("epochs: 2", "epochs: 1")
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose whole report was made from hundreds of episodes of ten frames."""
    folder = tmp_path_factory.mktemp("lab")
    write_folder(folder / "episodes", COUNT, frames=10, size=(36, 64))
    project = Project(folder / "project", CONFIG)
    project.build(timeout=2400)
    return project


def read(project, name):
    return json.loads((project.folder / "results" / name).read_text())


def test_all_of_them_are_audited_split_and_shown(project):
    assert read(project, "datasets/demo/audit.json")["episodes"] == COUNT
    manifest = read(project, "datasets/demo/manifest.json")
    assert len(manifest["episodes"]) == COUNT and manifest["rows"] == 10 * COUNT
    results = read(project, "experiments/head_only/seed0/training_results.json")
    assert sum(results["episodes"].values()) == COUNT
    assert results["episodes"]["test"] == pytest.approx(0.15 * COUNT, abs=3)
    page = (project.folder / "results/report.html").read_text()
    assert re.search(rf"\b{COUNT}\b", page), "the page says how many there are"
    assert len(page) < 5e6


def test_a_second_call_does_nothing(project):
    assert project.plan() == {}


def test_one_more_episode_costs_one_ingest(project):
    write_folder(project.folder.parent / "episodes", COUNT + 1, frames=10, size=(36, 64))
    plan = project.plan()
    assert plan["ingest"] == 1
    assert plan["manifest"] == plan["split"] == plan["audit_dataset"] == 1
    assert "random_backbone" not in plan

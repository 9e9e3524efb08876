"""Folders from outside the project that move with the same bytes."""

import json
import shutil

import pytest

from support.edits import rows
from support.project import SMALL, Project
from support.recorded import write_folder
from support.tiny import make_backbone

SCORES = "results/experiments/head_only/seed0/evaluation.json"
MOVES = {row["edit"]: row for row in rows() if "moves" in row}
CONFIG = (
    SMALL.replace(
        "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n",
        "    kind: recorded\n    path: ../episodes\n",
    )
    .replace("defaults:", "  real: {checkpoint: ../kosmos-2}\ndefaults:")
    .replace("backbone: tiny", "backbone: real")
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with recorded episodes, a checkpoint, and a project that scored a policy on them."""
    folder = tmp_path_factory.mktemp("lab")
    write_folder(folder / "episodes", 12, frames=8, size=(8, 8))
    make_backbone(folder / "kosmos-2").unlink()  # a real checkpoint has no description of ours
    Project(folder / "project", CONFIG).build(SCORES)
    return folder


@pytest.fixture
def project(lab, tmp_path):
    shutil.copytree(lab, tmp_path / "lab", symlinks=True)
    return Project.at(tmp_path / "lab/project")


def move(project, row):
    for old, new in row["moves"].items():
        target = project.folder / new
        target.parent.mkdir(exist_ok=True)
        (project.folder / old).rename(target)
        if row.get("link"):
            (project.folder / old).symlink_to(target)
    if "old" in row:
        project.edit(row["file"], row["old"], row["new"])


@pytest.mark.parametrize("name", MOVES)
def test_a_moved_folder_reruns_nothing_that_is_not_about_its_path(project, name):
    expected = MOVES[name]["reruns"]
    move(project, MOVES[name])
    assert project.plan(SCORES) == ({} if expected == "nothing" else expected)


def test_a_move_hides_no_other_change_and_jobs_find_what_has_moved(project):
    for row in MOVES.values():
        if row["moves"] and "link" not in row:
            move(project, row)
    project.edit(
        "config.yaml", "    kind: recorded", "    images: {resize: crop}\n    kind: recorded"
    )
    assert project.plan(SCORES) == {
        **{"ingest": 12, "manifest": 1, "split": 1},
        **{"features": 1, "train": 1, "evaluate": 1},
    }
    description = next((project.folder / "results/features").rglob("[!.]*.json"))
    project.build(str(description.relative_to(project.folder)))
    backbone = project.folder / "results/backbones/real/backbone.json"
    project.build("--force", str(backbone.relative_to(project.folder)))
    assert json.loads(backbone.read_text())["checkpoint"] == "../renamed"

"""Folders from outside the project that move with the same bytes."""

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


def test_what_runs_after_a_move_finds_episodes_and_checkpoint(project):
    for row in MOVES.values():
        if row["moves"] and "link" not in row:
            move(project, row)
    facts = min((project.folder / "results/datasets/demo/episodes").glob("*.json"))
    backbone = project.folder / "results/backbones/real/backbone.json"
    before = {file: file.read_bytes() for file in (facts, backbone)}
    project.build("--force", *(str(file.relative_to(project.folder)) for file in before))
    assert {file: file.read_bytes() for file in before} == before

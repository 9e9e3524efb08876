"""A lab's own folder of episodes, from files on disk to the report."""

import json
import os
import shutil

import pytest

from support.project import SMALL, Project
from support.recorded import write_episode, write_folder

RECORDED = (
    SMALL.replace(
        "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n",
        '    kind: recorded\n    path: ../episodes\n    pattern: "*.h5"\n    on_error: fail\n',
    )
    .replace(
        "    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: [side]}",
        "    split: {train: 0.6, val: 0.2, test: 0.2, stratify_by: [side]}",
    )
    .replace("  head_only:\n    finetune: none\n", "")
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project on 13 recorded episodes, some without instruction, the last one cut off."""
    folder = tmp_path_factory.mktemp("lab")
    write_folder(folder / "episodes", 13, truncated=True)
    return Project(folder / "project", RECORDED)


def read(project, name):
    return json.loads((project.folder / "results" / name).read_text())


def test_a_broken_file_stops_the_workflow_with_its_name_and_a_remedy(project):
    finished = project.snakemake("--cores", "2", "results/datasets/demo/manifest.json")
    assert finished.status != 0
    broken = sorted((project.folder.parent / "episodes").iterdir())[-1]
    (message, *_) = [line for line in finished.output.splitlines() if broken.name in line]
    assert "truncated" in message or "not readable" in message or "cut off" in message, message
    assert "Traceback" not in finished.output
    assert "to do:" in finished.output
    assert not (project.folder / "results/datasets/demo/manifest.json").exists()


def test_quarantine_leaves_it_out_and_the_rest_reaches_the_report(project):
    project.edit("config.yaml", "on_error: fail", "on_error: quarantine")
    plan = project.plan()
    assert "ingest" not in plan, "episodes that were ingested before are not read again"
    project.build()
    broken = sorted((project.folder.parent / "episodes").iterdir())[-1].stem

    manifest = read(project, "datasets/demo/manifest.json")
    assert len(manifest["episodes"]) == 12
    (quarantined,) = manifest["quarantined"]
    assert quarantined["episode"] == broken and quarantined["errors"]
    assert [episode["instruction"] is None for episode in manifest["episodes"]].count(True) == 4

    audit = read(project, "datasets/demo/audit.json")
    assert any(f["severity"] == "error" and f["episode"] == broken for f in audit["findings"])
    assert broken in (project.folder / "results/datasets/demo/audit.html").read_text()

    scored = read(project, "experiments/lora/seed0/evaluation.json")
    assert scored["scored_on"] == "test" and scored["episodes"] >= 2
    page = (project.folder / "results/report.html").read_text()
    assert broken in page
    assert project.plan() == {}


def test_bytes_count_and_times_do_not(project):
    episodes = sorted((project.folder.parent / "episodes").iterdir())
    touched, copied, changed = episodes[:3]
    touched.touch()
    shutil.copy(copied, copied.with_suffix(".copy"))  # another inode, another time
    copied.with_suffix(".copy").replace(copied)
    assert project.plan() == {}

    before = changed.read_bytes()
    write_episode(changed, seed=99)
    os.utime(changed, (0, 0))  # older than every result
    assert project.plan()["ingest"] == 1
    changed.write_bytes(before)
    assert project.plan() == {}


def test_one_more_episode_is_the_only_one_that_is_ingested(project):
    folder = project.folder.parent / "episodes"
    write_folder(folder, 14)  # the broken file is whole now, and there is a new one
    plan = project.plan()
    assert plan["ingest"] == 2
    assert plan["train"] == 1
    assert plan["page"] == 1

"""The audit as a user runs it: whatever lies in the folder, and before anything else works."""

import json
import os

import pytest

from support.episode_corruptions import attribute, link_to, rename, write
from support.project import SMALL, Project
from support.recorded import write_folder

SIMULATED = "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n"
RECORDED = SMALL.replace(SIMULATED, "    kind: recorded\n    path: ../episodes\n")
NONE_LEFT = "  other: {kind: recorded, path: ../nothing_good}\nbackbones:"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project on 14 recorded episodes, one with a warning, and seven paths that are none."""
    folder = tmp_path_factory.mktemp("lab")
    episodes = folder / "episodes"
    paths = write_folder(episodes, 14, seed=7)
    attribute("num_frames", 99)(paths[0])
    link_to(lambda _: "gone.h5")(write_to(episodes / "dangling_left.h5"))
    link_to(lambda path: path.name)(write_to(episodes / "circle_left.h5"))
    (episodes / "folder_left.h5").mkdir()
    os.mkfifo(episodes / "pipe_left.h5")
    write_to(episodes / "empty_left.h5", b"")
    write_to(episodes / "forbidden_left.h5").chmod(0)
    write_to(episodes / "text_left.h5")
    write_to(folder / "nothing_good" / "a.h5", b"")
    return Project(folder / "project", RECORDED.replace("backbones:", NONE_LEFT))


def write_to(path, content=b"not an episode"):
    path.parent.mkdir(exist_ok=True)
    write(content)(path)
    return path


def audited(project, dataset="demo"):
    folder = project.folder / "results/datasets" / dataset
    return json.loads((folder / "audit.json").read_text()), (folder / "audit.html").read_text()


def test_a_dataset_is_audited_although_half_of_it_cannot_be_used(project):
    finished = project.snakemake("--cores", "2", "audit")
    assert finished.status == 0, finished.output
    assert "MissingInputException" not in finished.output
    assert "Traceback" not in finished.output
    report, page = audited(project)
    errors = {
        one["episode"]: one["code"] for one in report["findings"] if one["severity"] == "error"
    }
    assert errors == {
        "dangling_left": "broken_link",
        "circle_left": "broken_link",
        "folder_left": "not_a_file",
        "pipe_left": "not_a_file",
        "empty_left": "empty_file",
        "forbidden_left": "permission_denied" if os.geteuid() else "not_hdf5",
        "text_left": "not_hdf5",
    }
    assert "broken_link" in page
    # the table, in the terminal, and once more at its end
    assert finished.output.count("audit of demo: ") == 2
    last = finished.output[finished.output.rindex("audit of demo: ") :]
    assert "  error     broken_link" in last and "(and 1 more)" in last
    assert "results/datasets/demo/audit.html" in last and len(last.splitlines()) < 30
    assert not list(project.folder.glob("results/datasets/*/manifest.json"))
    assert not list(project.folder.glob("results/experiments/*"))
    assert project.plan("audit") == {"audit": 1}
    assert not (project.folder / "results/datasets/other").exists(), "no experiment uses it"


def test_one_dataset_is_audited_alone(project):
    page = "results/datasets/other/audit.html"
    assert project.plan(page) == {"ingest": 1, "audit_dataset": 1, "audit_experiments": 1}
    project.build(page)
    assert [one["code"] for one in audited(project, "other")[0]["findings"]] == [
        "no_episodes",
        "empty_file",
    ]


def test_episodes_with_warnings_are_left_out_by_a_setting(project):
    target = "results/datasets/demo/split.json"
    manifest = project.folder / "results/datasets/demo/manifest.json"
    project.config = RECORDED.replace(
        "../episodes\n", "../episodes\n    on_error: quarantine\n    on_warning: keep\n"
    )
    assert "flags" not in project.plan(target)
    project.build(target)
    assert len(json.loads(manifest.read_text())["episodes"]) == 14
    project.edit("config.yaml", "on_warning: keep", "on_warning: quarantine")
    project.build(target)
    content = json.loads(manifest.read_text())
    assert len(content["episodes"]) == 13
    assert [one["warnings"] for one in content["quarantined"] if not one["errors"]] == [
        ["num_frames_differs"]
    ]
    assert project.plan(target) == {}
    reason = "the counter began at 86"
    project.edit(
        "config.yaml",
        "    on_warning: quarantine\n",
        f"    on_warning: quarantine\n    accept: {{num_frames_differs: {reason}}}\n",
    )
    project.build(target, "results/datasets/demo/audit.html")
    assert len(json.loads(manifest.read_text())["episodes"]) == 14
    report, page = audited(project)
    assert reason in page and report["totals"]["accepted"] == 1
    assert project.plan(target, "results/datasets/demo/audit.html") == {}


@pytest.mark.long
def test_names_without_a_side_no_longer_stop_training(project):
    """One such name stops the split, as a cell of its own, and every prompt that needs the side;
    left out, it stops nothing."""
    episode = sorted((project.folder.parent / "episodes").glob("*_left_core_close.h5"))[0]
    rename(lambda name: name.replace("_left", ""))(episode)
    project.config = RECORDED.replace("../episodes\n", "../episodes\n    on_error: quarantine\n")
    target = "results/experiments/head_only/seed0/metrics.csv"
    assert "prompt_incomplete" in project.build("results/datasets/demo/audit.json").output
    finished = project.snakemake("--cores", "2", target)
    assert finished.status != 0 and "have no validation episode" in finished.output
    assert "unknown" in finished.output
    project.edit(
        "config.yaml", "on_error: quarantine", "on_error: quarantine\n    on_warning: quarantine"
    )
    project.build(target)

"""Episodes in three public HDF5 layouts, read by what `describe` prints of one of their files."""

import os
import subprocess

import numpy as np
import pytest

from mobile_vla.files import read_json
from support.edits import rows
from support.hdf5_layouts import add_demo, drive, write_aloha, write_recon, write_robomimic
from support.project import SMALL, Project
from support.thinning import thinned

EPISODES = 6
NAMES = ("recon", "aloha", "image")
SCORES = "results/experiments/of_{}/seed0/evaluation.json"
EDITS = {row["edit"]: row for row in rows() if "several" in row}

_, REST = SMALL.split("backbones:\n")
TAIL = "experiments:\n  lora:\n    lora: {r: 4}\n  head_only:\n    finetune: none\n"
CONFIG = "include: [recon.yaml, aloha.yaml, image.yaml]\nbackbones:\n" + REST.replace(
    TAIL,
    "experiments:\n"
    "  of_recon: {dataset: recon, finetune: none}\n"
    "  of_aloha: {dataset: aloha, finetune: none}\n"
    '  of_image: {dataset: image, finetune: none, prompt: {template: "{instruction}"}}\n',
).replace("pass on the {side}", "drive to the goal").replace("  dataset: demo\n", "")


def described(project, file, name):
    """Save what `describe` prints of a file, and return it."""
    done = subprocess.run(
        [project.python, "-m", "mobile_vla", "describe", str(file)],
        cwd=project.folder,
        env={**project.environment, "PYTHONPATH": str(project.folder / "workflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (project.folder / f"{name}.yaml").write_text(done.stdout)
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project that audited three datasets, and trained and scored a policy on each."""
    project = Project(tmp_path_factory.mktemp("layouts") / "project", CONFIG)
    raw = project.folder / "raw"
    for name in ("recon", "aloha", "robomimic"):
        (raw / name).mkdir(parents=True)
    for number in range(EPISODES):
        write_recon(raw / f"recon/jackal_2019-09-01_{number}.hdf5", seed=number)
        write_aloha(raw / f"aloha/episode_{number}.hdf5", seed=number)
    write_robomimic(raw / "robomimic/image.hdf5", demos=EPISODES)
    described(project, "raw/recon/jackal_2019-09-01_0.hdf5", "recon")
    described(project, "raw/aloha/episode_0.hdf5", "aloha")
    described(project, "raw/robomimic/image.hdf5", "image")
    (project.folder / "scenarios.csv").write_text(
        "episode,side\n"
        + "".join(f"image--demo_{n},{('left', 'right')[n % 2]}\n" for n in range(EPISODES))
    )
    project.build("audit", *map(SCORES.format, NAMES))
    return project


@pytest.mark.parametrize("name", NAMES)
def test_what_describe_prints_reads_audits_and_trains(built, name):
    place = built.folder / "results/datasets" / name
    manifest = read_json(place / "manifest.json")
    assert len(manifest["episodes"]) == EPISODES and manifest["quarantined"] == []
    actions = np.load(place / "actions.npy")
    expected = [np.stack(drive(number), axis=1) for number in range(EPISODES)]
    np.testing.assert_array_equal(actions[:, [0, 2]], np.concatenate(expected).astype(np.float32))
    assert not actions[:, 1].any()
    audit = read_json(place / "audit.json")
    assert {one["code"] for one in audit["findings"] if one["severity"] == "error"} == set()
    if name == "image":
        assert {one["instruction"] for one in manifest["episodes"]} == {"drive round the box"}
        files = {one["file"] for one in audit["findings"] if one["episode"] == "image--demo_3"}
        assert files == {"image.hdf5/data/demo_3"}
    scores = read_json(built.folder / SCORES.format(name))
    assert scores["episodes"] > 0 and np.isfinite(scores["policy"]["rmse"]["overall"])
    assert set(scores["policy"]["mae"]) >= {"linear_x", "angular_z"}


def test_a_finished_project_has_nothing_to_do_after_touches_and_a_move(built, tmp_path):
    copied = built.copy(tmp_path / "project")
    for file in (copied.folder / "raw").rglob("*.hdf5"):
        os.utime(file)
    assert copied.plan(*map(SCORES.format, NAMES)) == {}
    (copied.folder / "raw").rename(copied.folder / "moved")
    for name in NAMES:
        copied.edit(f"{name}.yaml", "path: raw/", "path: moved/")
    assert copied.plan(*map(SCORES.format, NAMES)) == {}


@pytest.mark.parametrize("name", thinned(EDITS, 3))
def test_an_edit_of_fields_or_scenarios_reruns_what_depends_on_it(built, tmp_path, name):
    row, target = EDITS[name], SCORES.format("image")
    expected = {} if row["reruns"] == "nothing" else row["reruns"]
    copied = built.copy(tmp_path / "project")
    if row["several"] == "append":
        add_demo(copied.folder / "raw/robomimic/image.hdf5", EPISODES)
        assert copied.plan(SCORES.format("recon")) == {}
    elif row["several"] == "table":
        target = "results/datasets/image/manifest.json"
        copied.edit("image.yaml", "kind: recorded", "kind: recorded\n    scenarios: scenarios.csv")
        copied.build(target)
        expected = {key: count for key, count in expected.items() if key in ("ingest", "manifest")}
    if "old" in row:
        copied.edit(row["file"], row["old"], row["new"])
    assert copied.plan(target) == expected


def test_a_table_without_an_episode_is_refused_before_anything_runs(built, tmp_path):
    copied = built.copy(tmp_path / "project")
    copied.edit("image.yaml", "kind: recorded", "kind: recorded\n    scenarios: scenarios.csv")
    copied.edit("scenarios.csv", "image--demo_4,left\n", "image--demo_3,left\n")
    done = copied.snakemake("-n", SCORES.format("image"))
    assert done.status == 1 and "Traceback" not in done.output
    assert "scenarios.csv:6" in done.output and "stands in line 5, too" in done.output

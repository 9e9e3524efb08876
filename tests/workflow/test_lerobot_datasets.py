"""A dataset leaves as a LeRobotDataset and comes back through the workflow."""

import shutil
import subprocess

import pytest

from mobile_vla.files import read_json

MANIFEST = "results/datasets/theirs/manifest.json"
BACK = """\
  theirs:
    kind: lerobot
    path: exported
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: [side]}
backbones:
"""
LORA = "experiments:\n"
USED = "experiments:\n  again: {dataset: theirs, lora: {r: 4}}\n"


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """A project whose simulated episodes left and are a second dataset of it."""
    copied = finished.copy(tmp_path_factory.mktemp("exported") / "project")
    subprocess.run(
        [copied.python, "-m", "mobile_vla", "export-lerobot", "demo", "exported"],
        cwd=copied.folder,
        env={**copied.environment, "PYTHONPATH": str(copied.folder / "workflow")},
        check=True,
    )
    copied.edit("config.yaml", "backbones:\n", BACK)
    copied.edit("config.yaml", LORA, USED)
    return copied


@pytest.fixture
def returned(exported, tmp_path):
    return exported.copy(tmp_path / "project")


def test_experiments_learn_the_same_from_a_dataset_that_came_back(returned):
    target = "results/experiments/again/seed0/training_results.json"
    planned = returned.plan(target)
    assert planned["import_lerobot"] == planned["ingest"] == 12
    returned.build(target)
    ours, theirs = (
        read_json(returned.folder / f"results/datasets/{name}/manifest.json")
        for name in ("demo", "theirs")
    )
    kept = ("episode", "frames", "frames_sha256")
    assert [{key: one[key] for key in kept if key in one} for one in ours["episodes"]] == [
        {key: one[key] for key in kept if key in one} for one in theirs["episodes"]
    ]
    one, other = (
        returned.folder / f"results/experiments/{name}/seed0/metrics.csv"
        for name in ("lora", "again")
    )
    assert one.read_bytes() == other.read_bytes()
    assert returned.plan(target) == {}
    (returned.folder / "exported").rename(returned.folder / "moved")
    returned.edit("config.yaml", "path: exported", "path: ./moved")
    assert returned.plan(target) == {}


def test_what_is_no_dataset_is_said_before_anything_runs(returned):
    shutil.rmtree(returned.folder / "exported/meta/episodes")
    done = returned.snakemake("-n")
    assert done.status == 1
    assert "has no index of episodes" in done.output and "Traceback" not in done.output


def test_a_damaged_file_stops_the_import_of_its_episodes_alone(returned):
    path = returned.folder / "exported/data/chunk-000/file-000.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    done = returned.snakemake("--cores", "1", MANIFEST)
    assert done.status != 0
    log = next(returned.folder.glob("results/logs/raw/theirs/*.log")).read_text()
    assert "cannot be read" in log and "copy the dataset again" in log
    assert "Traceback" not in log

"""Two clones compute the same bytes, and interpreters the same as the tests' forks."""

import shutil
import sys

import pytest

from support.deterministic_files import deterministic_files
from support.project import Project

RUN = "results/experiments/lora/seed0"


@pytest.mark.long
def test_two_clones_compute_the_same_bytes(finished, tmp_path):
    other = Project(tmp_path / "somewhere" / "else")
    other.build("--cores", "1", "--omit-from", "figures")  # which are not compared
    one, two = deterministic_files(finished), deterministic_files(other)
    assert one.keys() == two.keys()
    different = [name for name in one if one[name] != two[name]]
    assert different == []
    for name in ("metrics.csv", "evaluation.json", "predictions.npz", "policy/head.safetensors"):
        assert f"experiments/lora/seed0/{name}" in one
    for name in ("language.json", "rollouts.json", "rollouts.npz"):
        assert f"experiments/lora/seed0/{name}" in one


def test_interpreters_train_to_the_same_bytes_as_forks(finished, copied):
    copied.python = sys.executable
    copied.build("--force", f"{RUN}/metrics.csv")
    card = f"{RUN.removeprefix('results/')}/policy/README.md"
    before = deterministic_files(finished)
    del before[card]  # the earlier policy's, which goes with it
    assert deterministic_files(copied) == before


@pytest.mark.long
def test_interpreters_compute_the_same_bytes_as_forks(finished, copied):
    """From an episode on, by one job of each stage, as a user's shell starts them."""
    results = copied.folder / "results"
    data = results / "datasets/demo"
    raw = min((data / "raw").glob("*.h5"))
    removed = [raw, *data.glob(f"episodes/{raw.stem}.*"), data / "manifest.json"]
    for file in [*removed, *results.glob("features/demo/tiny/*image_embeds*")]:
        file.unlink()
    shutil.rmtree(results / "backbones")
    shutil.rmtree(results / "experiments/lora")
    copied.python = sys.executable
    built = copied.build(*(f"{RUN}/{name}.json" for name in ("evaluation", "language", "rollouts")))
    again = {"simulate", "ingest", "random_backbone", "features", "train", "evaluate"}
    assert again | {"language", "rollout"} <= built.jobs().keys()
    expected = deterministic_files(finished)
    assert deterministic_files(copied) == {
        name: expected[name] for name in deterministic_files(copied)
    }
    assert "experiments/lora/seed0/rollouts.npz" in deterministic_files(copied)

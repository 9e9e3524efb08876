"""A checkpoint folder from outside: the same path as the real Kosmos-2, at a tiny size."""

import json
import shutil

import pytest

from support.project import SMALL
from support.tiny import make_backbone

SCORES = "results/experiments/lora/seed0/evaluation.json"


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory):
    """A project whose experiment was fine-tuned from a local folder, and scored."""
    project = finished.copy(tmp_path_factory.mktemp("checkpoint") / "project")
    folder = project.folder / "kosmos-2"
    make_backbone(folder).unlink()  # a real checkpoint has no description of ours
    (folder / "README.md").write_text("a card, which no loader reads")
    project.config = (
        SMALL.replace("defaults:", "  real: {checkpoint: ./kosmos-2}\ndefaults:")
        .replace("backbone: tiny", "backbone: real")
        .replace("  head_only:\n    finetune: none\n", "")
    )
    project.build(SCORES)
    return project


CHAIN = {"pretrained_backbone": 1, "features": 1, "train": 1, "evaluate": 1}


def test_it_trains_and_is_described_without_a_path_of_this_machine(project):
    described = json.loads((project.folder / "results/backbones/real/backbone.json").read_text())
    assert described["checkpoint"] == "kosmos-2"
    assert "model.safetensors" in described["files"] and "README.md" not in described["files"]
    assert (project.folder / SCORES).is_file()
    assert project.plan(SCORES) == {}


def test_touching_and_copying_it_reruns_nothing(project, tmp_path):
    twin = project.copy(tmp_path / "project")
    assert twin.plan(SCORES) == {}
    for name in ("config.json", "model.safetensors", "README.md"):
        (twin.folder / "kosmos-2" / name).touch()
    (twin.folder / "kosmos-2/README.md").write_text("another card")
    assert twin.plan(SCORES) == {}


def test_changed_weights_rerun_all_that_was_computed_with_them(project, tmp_path):
    twin = project.copy(tmp_path / "project")
    make_backbone(tmp_path / "other", seed=1)
    shutil.copy(tmp_path / "other/model.safetensors", twin.folder / "kosmos-2")
    assert twin.plan(SCORES) == CHAIN


def test_a_truncated_or_damaged_file_is_named(project, tmp_path):
    twin = project.copy(tmp_path / "project")
    weights = twin.folder / "kosmos-2/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    (twin.folder / "kosmos-2/config.json").write_text("{")
    finished = twin.snakemake("--cores", "1", "results/backbones/real/backbone.json")
    assert finished.status != 0 and "Traceback" not in finished.output
    assert "kosmos-2/model.safetensors: not readable" in finished.output
    assert "kosmos-2/config.json: not readable" in finished.output

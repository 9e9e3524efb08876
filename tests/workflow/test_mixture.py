"""One training on two simulated worlds, for real: scored on each and together, rerun exactly."""

import csv
import json
import shutil

import numpy as np
import pytest

from mobile_vla.config.loading import read_project
from mobile_vla.evaluation.evaluate_on import evaluate_on
from mobile_vla.layout import OtherEvaluationFiles
from mobile_vla.runs.data import OtherDatasetInputs
from support.deterministic_files import deterministic_files
from support.edits import edited, expected, rows
from support.project import SMALL, Project

DATASETS = """\
datasets:
  lab:
    kind: simulated
    simulation: {scenes: 4, world: {frames: 10}}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: []}
  autumn:
    kind: simulated
    simulation: {scenes: 5, world: {frames: 12, seed: 1}}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: [], seed: 1}
  hall:
    kind: simulated
    simulation: {scenes: 4, world: {frames: 10, seed: 2}}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: []}
  both:
    kind: mixture
    datasets: {lab: 1, autumn: 2}
"""
CONFIG = DATASETS + SMALL[SMALL.index("backbones:") : SMALL.index("  lora:\n")]
CONFIG = CONFIG.replace("dataset: demo", "finetune: none")
CONFIG += "  mixed: {dataset: both}\n  alone: {dataset: lab}\n"
EDITS = {row["edit"]: row for row in rows() if "mixture" in row}
RUN = "experiments/mixed/seed0"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("mixture") / "project", CONFIG)
    project.build()
    return project


def read(project, name):
    return json.loads((project.folder / "results" / name).read_text())


def test_a_finished_project_has_nothing_to_do(project):
    assert project.plan() == {}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_exactly_what_depends_on_it(project, name):
    with edited(project, EDITS[name]):
        assert project.plan() == expected(EDITS[name]["reruns"])


def test_features_are_those_of_the_datasets(project):
    """Those of `lab` were computed once, for both experiments; of the mixture there are none."""
    stored = {path.name for path in (project.folder / "results/features").iterdir()}
    assert stored == {"lab", "autumn"}
    assert len(list((project.folder / "results/features/lab/tiny").glob("[!.]*.npy"))) == 1


def test_the_scores_of_the_datasets_are_parts_of_those_of_all(project):
    whole = read(project, f"{RUN}/evaluation.json")
    parts = [read(project, f"{RUN}/on/{name}/evaluation.json") for name in ("lab", "autumn")]
    assert [part["dataset"] for part in parts] == ["lab", "autumn"]
    for name in ("episodes", "windows", "steps"):
        assert sum(part[name] for part in parts) == whole[name]
    for predictor in whole["mae"]:
        if predictor == "policy" or predictor in whole["baselines"]:
            errors = [part["mae"][predictor]["pooled"]["value"] * part["steps"] for part in parts]
            pooled = whole["mae"][predictor]["pooled"]["value"]
            assert sum(errors) / whole["steps"] == pytest.approx(pooled)
    for part in parts:
        assert part["split"] == read(project, f"experiments/{own(part)}")["split"]
        assert all("/" not in episode["episode"] for episode in part["per_episode"])
        assert part["trained_on"]["members"] == ["lab", "autumn"]


def own(part):
    """Return scores of the same dataset by itself, where an experiment was trained on it alone."""
    alone = part["dataset"] == "lab"
    return "alone/seed0/evaluation.json" if alone else "mixed/seed0/on/autumn/evaluation.json"


def described(project, dataset):
    """Return the description of a dataset's only features."""
    (array,) = (project.folder / f"results/features/{dataset}/tiny").glob("[!.]*.npy")
    return array.with_suffix(".json")


def test_a_dataset_of_a_mixture_is_scored_as_it_would_be_alone(project, tmp_path, monkeypatch):
    """The policy on its test episodes, predicted again: the same steps, truth and errors."""
    monkeypatch.chdir(project.folder)
    settings = read_project(project.folder / "config.yaml").evaluate("mixed", "seed0")
    data = project.folder / "results/datasets"
    lab, autumn = (described(project, name) for name in ("lab", "autumn"))
    outputs = OtherEvaluationFiles(tmp_path / "evaluation.json", tmp_path / "predictions.npz")
    evaluate_on(
        settings,
        OtherDatasetInputs(
            manifest=data / "both/manifest.json",
            actions=data / "both/actions.npy",
            split=data / "both/split.json",
            backbone=project.folder / "results/backbones/tiny/backbone.json",
            features=[lab, autumn],
            policy=project.folder / f"results/{RUN}/policy/policy.json",
            on_manifest=data / "lab/manifest.json",
            on_actions=data / "lab/actions.npy",
            on_split=data / "lab/split.json",
            on_features=[lab],
        ),
        outputs,
        threads=1,
    )
    again = np.load(outputs.predictions)
    stored = np.load(project.folder / f"results/{RUN}/on/lab/predictions.npz")
    assert set(again) == set(stored)
    for name in ("episode", "last_frame", "ahead", "frame", "mask", "truth"):
        np.testing.assert_array_equal(again[name], stored[name])
    for name in stored:
        if name == "prediction" or name.startswith("baseline_"):
            np.testing.assert_allclose(again[name], stored[name], atol=1e-5, err_msg=name)
    one = json.loads(outputs.evaluation.read_text())
    two = read(project, f"{RUN}/on/lab/evaluation.json")
    assert one["policy"]["mae"]["overall"] == pytest.approx(two["policy"]["mae"]["overall"])
    assert one["baselines"].keys() == two["baselines"].keys()
    assert one["by_cell"][0].keys() == two["by_cell"][0].keys()


def test_it_is_compared_with_the_experiment_on_one_of_its_datasets(project):
    (group,) = read(project, "comparison.json")["on_members"]
    (pair,) = group["pairs"]
    assert (group["dataset"], pair["experiments"]) == ("lab", ["mixed", "alone"])
    mixed = read(project, f"{RUN}/on/lab/evaluation.json")["policy"]["mae"]["overall"]
    alone = read(project, "experiments/alone/seed0/evaluation.json")["policy"]["mae"]["overall"]
    assert pair["difference"] == pytest.approx(mixed - alone)
    with (project.folder / "results/tables/pairs.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["one"], line["other"], line["dataset"]) == ("mixed", "alone", "lab")


def test_the_policy_says_what_it_was_trained_on_and_drives_in_both_worlds(project):
    training = read(project, f"{RUN}/training_results.json")
    lab, autumn = training["mixture"]
    assert lab["drawn"] == lab["windows"] and autumn["drawn"] == 2 * autumn["windows"]
    assert read(project, f"{RUN}/policy/policy.json")["data"]["members"] == ["lab", "autumn"]
    rollouts = read(project, f"{RUN}/rollouts.json")
    assert [(world["dataset"], world["rollouts"]) for world in rollouts["by_dataset"]] == [
        ("lab", 2),
        ("autumn", 2),
    ]
    assert [world["frame_limit"] for world in rollouts["by_dataset"]] == [15, 18]
    assert rollouts["rollouts"] == 4 and len({one["scene"] for one in rollouts["each"]}) == 2
    assert "by_dataset" not in read(project, "experiments/alone/seed0/rollouts.json")


def test_the_report_has_each_dataset_in_a_closed_part(project):
    page = (project.folder / "results/report.html").read_text()
    part = page[page.index("Mixtures, dataset by dataset") :]
    rows = part[: part.index("</details>")]
    assert rows.count("<td>lab</td>") == rows.count("<td>autumn</td>") == 1
    with (project.folder / "results/tables/elsewhere.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["experiment"], line["trained_on"], line["dataset"]) for line in lines] == [
        ("mixed", "both", "lab"),
        ("mixed", "both", "autumn"),
    ]


def test_trained_again_it_is_the_same_bit_for_bit(project, tmp_path):
    again = project.copy(tmp_path / "again")
    before = deterministic_files(again)
    shutil.rmtree(again.folder / "results/experiments/mixed")
    again.build(f"results/{RUN}/on/lab/evaluation.json", f"results/{RUN}/on/autumn/evaluation.json")
    after = deterministic_files(again)
    made = {name for name in after if name.startswith(RUN)}
    assert f"{RUN}/policy/head.safetensors" in made and f"{RUN}/on/lab/predictions.npz" in made
    assert {name: after[name] == before[name] for name in made} == dict.fromkeys(made, True)

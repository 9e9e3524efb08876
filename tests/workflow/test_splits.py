"""Folds, subsets and other datasets, for real: which runs there are, and what they score."""

import json

import numpy as np
import pytest

from mobile_vla.config.clean_stale import stale
from mobile_vla.config.loading import read_project
from support.project import SMALL, Project

DATASETS = """\
  folded:
    kind: simulated
    simulation: {scenes: 4, world: {frames: 12, seed: 1}}
    split: {kind: kfold, folds: 2, val: 0.25, stratify_by: [side]}
  sides:
    kind: simulated
    simulation: {scenes: 4, world: {frames: 12, seed: 2}}
    split: {kind: leave_one_out, key: side, val: 0.4, stratify_by: [side]}
backbones:
"""
EXPERIMENTS = """\
  whole: {finetune: none, evaluate_on: [folded]}
  few: {finetune: none, subset: 2}
  folds: {finetune: none, dataset: folded}
  sides: {finetune: none, dataset: sides}
"""
CONFIG = SMALL[: SMALL.index("  lora:\n")].replace("scenes: 6", "scenes: 4")
CONFIG = CONFIG.replace("backbones:\n", DATASETS) + EXPERIMENTS

OTHER = "results/experiments/whole/seed0/on/{}/evaluation.json"
TARGETS = (
    "results/comparison.json",  # of all runs
    "results/experiments/folds/timing.json",
    OTHER.format("folded"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("splits") / "project", CONFIG)
    project.build(*TARGETS)
    assert project.plan(*TARGETS) == {}
    return project


def read(project, name):
    return json.loads((project.folder / "results" / name).read_text())


def scored(project, experiment, run):
    folder = project.folder / "results/experiments" / experiment / run
    return set(np.load(folder / "predictions.npz")["episode"].tolist())


def test_a_run_is_a_seed_and_where_there_are_several_a_fold(project):
    experiments = project.folder / "results/experiments"
    found = {
        path.name: sorted(run.name for run in path.iterdir() if run.is_dir())
        for path in experiments.iterdir()
    }
    assert found == {
        "whole": ["seed0"],
        "few": ["seed0"],
        "folds": ["seed0-fold0", "seed0-fold1"],
        "sides": ["seed0-fold0", "seed0-fold1"],
    }
    assert read(project, "experiments/folds/timing.json")["run"] == "seed0-fold0"


def test_kfold_scores_every_episode_once(project):
    one, two = (scored(project, "folds", f"seed0-fold{fold}") for fold in (0, 1))
    episodes = {
        one["episode"] for one in read(project, "datasets/folded/manifest.json")["episodes"]
    }
    assert not one & two and one | two == episodes
    for fold in (0, 1):
        policy = read(project, f"experiments/folds/seed0-fold{fold}/policy/policy.json")
        assert policy["data"]["fold"] == fold


def test_the_side_that_is_held_out_is_the_one_that_is_scored(project):
    for fold, side in enumerate(("left", "right")):
        names = scored(project, "sides", f"seed0-fold{fold}")
        assert names and all(f"_{side}_" in name for name in names)
        evaluation = read(project, f"experiments/sides/seed0-fold{fold}/evaluation.json")
        assert (evaluation["fold"], evaluation["held_out"]) == (fold, side)
        roles = read(project, "datasets/sides/split.json")["folds"][fold]["roles"]
        assert not any(f"_{side}_" in name for name in roles["train"] + roles["val"])


def test_a_subset_trains_on_so_many_and_scores_the_same(project):
    few, whole = (
        read(project, f"experiments/{name}/seed0/training_results.json")["episodes"]
        for name in ("few", "whole")
    )
    assert few["train"] == 2 < whole["train"]
    assert (few["val"], few["test"]) == (whole["val"], whole["test"])
    assert scored(project, "few", "seed0") == scored(project, "whole", "seed0")


def test_the_other_datasets_first_fold_is_scored(project):
    found = read(project, "experiments/whole/seed0/on/folded/evaluation.json")
    assert (found["dataset"], found["trained_on"]["dataset"]) == ("folded", "demo")
    tested = read(project, "datasets/folded/split.json")["folds"][0]["roles"]["test"]
    assert scored(project, "whole", "seed0/on/folded") == set(tested)


@pytest.mark.long
def test_the_report_shows_all_of_it(project):
    project.build()
    assert project.plan() == {}
    page = (project.folder / "results/report.html").read_text()
    for words in (
        "folds seed0-fold1",
        "Errors on other datasets",
        "Split of sides, fold 1 (held out: right)",
        "others of its group",
        'id="figure-error_by_training_size"',
    ):
        assert words in page
    assert (project.folder / "results/tables/elsewhere.csv").is_file()
    assert (project.folder / "results/figures/error_by_training_size.png").is_file()


def test_edits_of_subset_and_of_what_is_scored_rerun_their_own_runs_only(project, tmp_path):
    twin = project.copy(tmp_path / "project")
    twin.edit("config.yaml", "subset: 2", "subset: 3")
    assert twin.plan(*TARGETS) == {"train": 1, "evaluate": 1, "rollout": 1, "compare": 1}
    twin.edit("config.yaml", "subset: 3", "subset: 2")
    twin.edit("config.yaml", "evaluate_on: [folded]", "evaluate_on: [folded, sides]")
    assert twin.plan(*TARGETS, OTHER.format("sides")) == {"evaluate_on": 1}
    twin.edit("config.yaml", "evaluate_on: [folded, sides]", "evaluate_on: [folded]")
    twin.edit("config.yaml", "dataset: folded", "dataset: folded, seeds: [0, 1]")
    assert twin.plan(*TARGETS) == {"train": 2, "evaluate": 2, "rollout": 2, "compare": 1}


def test_a_score_that_nobody_asked_for_is_not_made(project):
    for experiment, dataset in (("few", "folded"), ("whole", "sides"), ("whole", "demo")):
        target = f"results/experiments/{experiment}/seed0/on/{dataset}/evaluation.json"
        finished = project.snakemake("-n", target)
        assert finished.status != 0 and "MissingRuleException" in finished.output
        assert "Traceback" not in finished.output


def test_what_is_no_longer_scored_or_drawn_is_stale(project, tmp_path):
    twin = project.copy(tmp_path / "project")
    twin.edit("config.yaml", ", evaluate_on: [folded]", "")
    twin.edit("config.yaml", ", subset: 2", "")
    twin.edit(
        "config.yaml", "kind: kfold, folds: 2, val: 0.25", "train: 0.5, val: 0.25, test: 0.25"
    )
    file, results = twin.folder / "config.yaml", twin.folder / "results"
    drawn = [f"figures/error_by_training_size.{kind}" for kind in ("pdf", "png", "svg")]
    for name in (*drawn, "figures/error_by_step.svg", "tables/elsewhere.csv"):
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).touch()
    found = stale(read_project(file), results)
    assert sorted(str(path.relative_to(results)) for path in found) == [
        "experiments/folds/seed0-fold0",
        "experiments/folds/seed0-fold1",
        "experiments/whole/seed0/on/folded",
        *drawn,
        "tables/elsewhere.csv",
    ]

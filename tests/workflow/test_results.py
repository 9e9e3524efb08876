"""What a finished project holds, and what its numbers are."""

import csv
import json

import numpy as np
import pytest

EXPERIMENTS = ("lora", "head_only")


@pytest.fixture(scope="module")
def results(finished):
    return finished.folder / "results"


def read(path):
    return json.loads(path.read_text())


def test_the_report_is_one_self_contained_page(results):
    page = (results / "report.html").read_text()
    for experiment in EXPERIMENTS:
        assert experiment in page
    for outside in ("src=", "href=http", 'href="http', "@import", "url(http"):
        assert outside not in page


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_run_leaves_all_its_files(results, experiment):
    run = results / "experiments" / experiment / "seed0"
    for folder in ("policy", "last"):
        described = read(run / folder / "policy.json")
        files = {file.name for file in (run / folder).iterdir()}
        card = {"README.md"} if folder == "policy" else set()
        assert files == {*described["files"], "policy.json", *card}
        assert ("adapter_model.safetensors" in files) == (experiment == "lora")
    with (run / "metrics.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["0", "1"]
    found = read(run / "training_results.json")
    assert found["avg_epoch_time"] == pytest.approx(np.mean(found["epoch_times"]))
    assert found["best_val_loss"] == min(float(line["val_loss"]) for line in lines)
    trained = found["parameters"]["trainable"]
    assert set(trained) == ({"head"} if experiment == "head_only" else {*trained, "adapter"})
    assert list((run / "tensorboard").glob("events*"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_scores_are_those_of_the_stored_predictions(results, experiment):
    run = results / "experiments" / experiment / "seed0"
    found = read(run / "evaluation.json")
    stored = np.load(run / "predictions.npz")
    kept = stored["mask"]
    error = np.abs(stored["prediction"] - stored["truth"])[kept].astype(np.float64)
    assert found["policy"]["mae"]["overall"] == pytest.approx(error.mean(), rel=1e-6)
    for column, name in enumerate(found["dimensions"]):
        assert found["policy"]["mae"][name] == pytest.approx(error[:, column].mean(), rel=1e-6)
    assert found["steps"] == kept.sum()
    zero = np.abs(stored["truth"])[kept].astype(np.float64).mean()
    assert found["baselines"]["zero"]["mae"]["overall"] == pytest.approx(zero, rel=1e-6)


def test_every_baseline_is_scored_on_the_same_steps(results):
    for experiment in EXPERIMENTS:
        run = results / "experiments" / experiment / "seed0"
        found, stored = read(run / "evaluation.json"), np.load(run / "predictions.npz")
        named = {**found["baselines"], **found["controls"]}
        assert set(found["controls"]) == {"no_image", "shuffled_prompt"} and len(named) == 10
        for name, errors in named.items():
            kind = "control" if name in found["controls"] else "baseline"
            error = np.abs(stored[f"{kind}_{name}"] - stored["truth"])[stored["mask"]]
            mae = error.mean(dtype=np.float64)
            assert errors["mae"]["overall"] == pytest.approx(mae, rel=1e-6)
        assert found["verdict"]["outcome"] != "beats"  # from two episodes nothing can be told
    compared = read(results / "comparison.json")
    assert [own["experiment"] for own in compared["experiments"]] == list(EXPERIMENTS)
    assert compared["groups"][0]["steps"] == found["steps"]
    assert (results / "tables/verdicts.tex").read_text().startswith("\\begin{tabular}")


def test_no_episode_of_another_role_is_scored(results):
    roles = read(results / "datasets/demo/split.json")["folds"][0]["roles"]
    assert not set(roles["train"]) & set(roles["test"])
    for experiment in EXPERIMENTS:
        run = results / "experiments" / experiment / "seed0"
        scored = set(np.load(run / "predictions.npz")["episode"].tolist())
        assert scored == set(roles["test"])
        assert read(run / "evaluation.json")["scored_on"] == "test"


def test_both_sides_of_a_scene_have_one_role(results):
    groups = {
        episode["episode"]: episode["group"]
        for episode in read(results / "datasets/demo/manifest.json")["episodes"]
    }
    roles = read(results / "datasets/demo/split.json")["folds"][0]["roles"]
    sides = {}
    for role, members in roles.items():
        for member in members:
            sides.setdefault(groups[member], set()).add(role)
    assert len(sides) == 6
    assert all(len(found) == 1 for found in sides.values())


def test_every_quoted_result_has_its_provenance(results):
    records = sorted(results.rglob("*.provenance.json"))
    stages = [read(record)["stage"] for record in records]
    assert sorted(set(stages)) == [
        "audit",
        "audit_data",
        "card",
        "compare",
        "evaluate",
        "features",
        "figures",
        "ingest",
        "language",
        "latency",
        "manifest",
        "page",
        "random_backbone",
        "rollout",
        "simulate",
        "split",
        "tables",
        "timing",
        "train",
    ]
    for record in map(read, records):
        assert record["code"] and record["command"].startswith("python -m mobile_vla")
        assert record["started"] <= record["finished"]

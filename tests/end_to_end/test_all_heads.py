"""Every kind of head, from config.yaml to the report."""

import csv
import json

import pytest

from support.project import SMALL

EXPERIMENTS = """\
experiments:
  lstm: {}
  mlp: {finetune: none, head: {type: mlp, mlp: [8]}}
  gpt: {head: {type: gpt, hidden_size: 8, heads: 2}, training: {supervise: every_frame}}
  keys: {head: {type: tokens, classes: commands, hidden_size: 8}}
  bins: {finetune: none, head: {type: tokens, classes: 9, choose: sample, hidden_size: 8}}
  flow: {head: {type: flow, hidden_size: 8, mlp: [16]}, training: {supervise: every_frame}}
"""
NAMES = ("lstm", "mlp", "gpt", "keys", "bins", "flow")

pytestmark = pytest.mark.long  # tests/components/test_heads.py sends each every way, stage by stage


@pytest.fixture(scope="module")
def results(finished, tmp_path_factory):
    project = finished.copy(tmp_path_factory.mktemp("heads") / "project")
    project.config = SMALL[: SMALL.index("experiments:")] + EXPERIMENTS
    project.build()
    assert project.plan() == {}
    return project.folder / "results"


def test_the_report_has_them_all(results):
    page = (results / "report.html").read_text()
    assert all(f">{name}<" in page for name in NAMES)
    scores = json.loads((results / "comparison.json").read_text())
    assert {own["experiment"] for own in scores["experiments"]} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_each_is_trained_timed_scored_and_driven(results, name):
    run = results / "experiments" / name / "seed0"
    with (run / "metrics.csv").open() as file:
        columns = next(csv.reader(file))
    assert ("val_objective" in columns) == (name in ("keys", "bins", "flow"))
    assert json.loads((run / "policy/policy.json").read_text())["settings"]["head"]["type"] in (
        name,
        "tokens",
    )
    assert json.loads((run / "rollouts.json").read_text())["rollouts"] == 2
    timing = json.loads((run.parent / "timing.json").read_text())
    step = timing["flops"]["step"]
    assert step["counted"] == pytest.approx(step["formula"], rel=0.01)

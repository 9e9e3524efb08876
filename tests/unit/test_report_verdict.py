from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mobile_vla.reporting.load import Run
from mobile_vla.reporting.records import BestBaseline, Evaluation, Trained
from mobile_vla.reporting.verdict import overview, verdict


def run(
    mae: float,
    best: float = 0.2,
    scored_on: str = "test",
    name: str = "lora",
    fold: int = 0,
    folds: int = 1,
) -> Run:
    """Return a run with this overall MAE; what a verdict does not read is left empty."""
    evaluation = Evaluation(
        experiment=name,
        run="seed0",
        dataset="demo",
        manifest="m",
        split="s",
        fold=fold,
        folds=folds,
        held_out=None,
        trained_on=Trained(dataset="demo", fold=fold, subset=None),
        scored_on=scored_on,
        selected_on_scored=scored_on == "val",
        unit="raw command units",
        dimensions=("linear_x",),
        episodes=12,
        windows=84,
        steps=840,
        policy={"mae": {"overall": mae}},
        baselines={},
        best_baseline=BestBaseline(name="previous_action", mae=best),
        skill=1 - mae / best if best else None,
        beats_best_baseline=None if scored_on == "val" else mae < best,
        per_episode=[],
    )
    unread: Any = None
    settings: Any = SimpleNamespace(experiment=name, run="seed0", settings={})
    return Run(settings, name, (), unread, evaluation, unread, unread, unread)


def said(*runs: Run) -> str:
    return verdict(runs).sentence.replace("\u00a0", " ")


def test_better() -> None:
    assert verdict([run(0.15)]).outcome == "better"
    assert said(run(0.15)) == (
        "beats the best baseline: mean absolute error 0.150 against 0.200 command units for "
        "previous action, 25 % less, on 84 windows of 12 test episodes."
    )


@pytest.mark.parametrize(("mae", "difference"), [(0.25, "25 % more"), (0.2, "the same")])
def test_not_better_is_said_plainly(mae: float, difference: str) -> None:
    assert verdict([run(mae)]).outcome == "worse"
    assert said(run(mae)).startswith("does not beat the best baseline: ")
    assert f", {difference}, on 84 windows" in said(run(mae))


def test_seeds_that_agree_and_seeds_that_do_not() -> None:
    agree = said(run(0.15), run(0.16))
    assert agree.startswith("beats the best baseline with each of its 2 seeds: ")
    assert "0.150 to 0.160 against 0.200" in agree
    assert "20 % to 25 % less" in agree
    assert verdict([run(0.15), run(0.25)]).outcome == "mixed"
    mixed = said(run(0.15), run(0.25))
    assert mixed.startswith("beats the best baseline with 1 of its 2 seeds only: ")
    assert "from 25 % less to 25 % more" in mixed
    assert said(run(0.25), run(0.3)).startswith("does not beat the best baseline with any of ")


def test_no_verdict_on_episodes_that_selected_the_checkpoint() -> None:
    own = verdict([run(0.15, scored_on="val")])
    assert (own.outcome, own.tag) == ("none", "no verdict")
    assert "84 windows of 12 val episodes" in own.sentence
    assert "selected on these very episodes" in own.sentence
    assert "beats" not in own.sentence


def test_a_perfect_baseline_leaves_out_the_share() -> None:
    assert "for previous action, on 84 windows" in said(run(0.15, best=0.0))


@pytest.mark.parametrize(
    ("maes", "start"),
    [
        ([0.1, 0.15], "All 2 experiments beat the best baseline on their test"),
        ([0.1, 0.3, 0.3], "1 of 3 experiments beats the best baseline on its test"),
        ([0.4, 0.3], "None of 2 experiments beat the best baseline on their test"),
        ([0.4], "The experiment does not beat the best baseline"),
        ([0.1], "The experiment beats the best baseline"),
    ],
)
def test_overview(maes: list[float], start: str) -> None:
    runs = [run(mae, name=f"e{i}") for i, mae in enumerate(maes)]
    found = overview(runs, [verdict([own]) for own in runs])
    assert found.startswith(start)
    if len(runs) > 1:
        best = maes.index(min(maes))
        assert found.endswith(f"that of e{best}: {min(maes):.3f} command units.")


def test_overview_without_test_episodes() -> None:
    runs = [run(0.1, scored_on="val"), run(0.2, scored_on="val")]
    found = overview(runs, [verdict([own]) for own in runs])
    assert found == "Without test episodes there is no verdict on any experiment."


def test_folds_are_counted_as_runs_and_scored_each_by_itself():
    said = verdict([run(0.1, fold=0, folds=2), run(0.25, fold=1, folds=2)]).sentence
    assert said.startswith("beats the best baseline with 1 of its 2 runs only: ")
    assert "on 168 windows of 24 test episodes in 2 folds, each fold by itself" in said
    assert "12 test episodes in fold 1." in verdict([run(0.1, fold=1, folds=2)]).sentence

"""Experiments side by side: on the same steps, paired, corrected, or refused in words."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobile_vla.comparison import pairs
from mobile_vla.comparison.compare import compare
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.layout import ComparisonFiles
from mobile_vla.result import FileDigest
from support.results import UNCERTAINTY, Results, make_results
from support.rewriting import change


def compared(made: Results) -> ComparisonResult:
    return ComparisonResult.read(made.comparison)


def again(made: Results) -> ComparisonResult:
    """Compare once more, after the files were changed."""
    runs = tuple(ComparedRun(experiment=own.experiment, run=own.run) for own in made.settings.runs)
    compare(
        CompareSettings(runs=runs, uncertainty=UNCERTAINTY),
        made.folder / "results",
        ComparisonFiles(made.comparison),
    )
    return compared(made)


def by_step(path: Path) -> dict[tuple[str, int, int], float]:
    """Return the mean absolute error of each step, by what the step is."""
    with np.load(path) as data:
        error = np.abs(data["prediction"].astype(np.float64) - data["truth"]).mean(axis=2)
        return {
            (str(data["episode"][n]), int(data["frame"][n, c]), int(data["ahead"][c])): error[n, c]
            for n, c in zip(*np.nonzero(data["mask"]), strict=True)
        }


def test_one_run_has_the_verdict_that_its_evaluation_has(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    for experiment, path in zip(compared(made).experiments, made.evaluations, strict=True):
        run = EvaluationResult.read(path)
        assert experiment.verdict == run.verdict
        assert experiment.mae == run.mae["policy"].pooled
        assert experiment.differences == run.differences
        assert experiment.skill == pytest.approx(run.skill, rel=1e-12)


def test_experiments_are_compared_on_the_steps_that_both_predict(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, chunks=(10, 6))
    (group,) = compared(made).groups
    one, other = map(by_step, made.predictions)
    common = sorted(set(one) & set(other))
    assert 0 < len(common) < min(len(one), len(other))
    assert group.steps == len(common)
    assert [member.steps_left_out for member in group.experiments] == [
        [len(one) - len(common)],
        [len(other) - len(common)],
    ]
    (pair,) = group.pairs
    expected = np.mean([one[key] - other[key] for key in common])
    assert pair.difference == pytest.approx(expected, rel=1e-9)
    assert pair.low is not None and pair.high is not None
    assert pair.low < pair.difference < pair.high
    # Not the difference of the errors on all steps of each.
    errors = [EvaluationResult.read(path).policy_mae for path in made.evaluations]
    assert errors[0] - errors[1] != pytest.approx(expected, rel=1e-3)


def test_the_better_one_is_named_and_many_pairs_are_corrected(tmp_path: Path) -> None:
    made = make_results(tmp_path, 4, beats=[True, False, True, True])
    (group,) = compared(made).groups
    of = {pair.experiments: pair for pair in group.pairs}
    assert len(of) == 6
    assert of["lora", "lora_r8"].better == "lora"
    assert all(pair.p_holm >= pair.p for pair in of.values())
    assert max(pair.confidence for pair in of.values()) == pytest.approx(1 - 0.05 / 6)
    for pair in of.values():
        assert (pair.better is not None) == (pair.p_holm < 0.05)


def test_so_many_pairs_are_drawn_often_enough_and_told_apart_by_their_corrected_p_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pairs, "HELD", 1 << 18)  # in several parts
    names = [f"e{index}" for index in range(12)]
    errors = np.random.default_rng(0).normal(5, 0.3, (20, 12))
    errors[:, 0] -= 2
    summed = pairs._SummedErrors(names, errors, np.ones(20), 20, selected_on_scored=False)
    every = list(combinations(range(12), 2))
    found = pairs._pairs(summed, every, Uncertainty(draws=1000))
    assert [own.experiments for own in found] == [(names[a], names[b]) for a, b in every]
    assert {own.better for own in found if "e0" in own.experiments} == {"e0"}
    for own in found:
        assert (own.better is not None) == (own.p_holm is not None and own.p_holm < 0.05)
        excludes = own.low is not None and (own.low > 0 or own.high < 0)
        assert excludes == (own.better is not None)


def test_more_pairs_than_chance_allows_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_results(tmp_path, 3)
    monkeypatch.setattr(pairs, "MOST_PAIRS", 2)
    (group,) = again(made).groups
    assert not group.pairs and "so many pairs" in str(group.why_no_pairs)
    assert all(member.mae is not None and not member.letters for member in group.experiments)


def test_a_number_that_was_changed_by_hand_is_in_no_comparison(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    text = made.evaluations[0].read_text()
    number = f"{EvaluationResult.read(made.evaluations[0]).policy_mae}"
    assert number in text
    made.evaluations[0].write_text(text.replace(number, "0.01", 1))
    with pytest.raises(UserError, match=r"evaluation\.json: its content is not what was written"):
        again(made)


def test_seeds_are_averaged_and_are_no_further_episodes(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1, seeds=3)
    (experiment,) = compared(made).experiments
    assert (experiment.seeds, experiment.folds, experiment.episodes) == (3, 1, 12)
    each = [EvaluationResult.read(path).policy_mae for path in made.evaluations]
    assert experiment.mae.value == pytest.approx(np.mean(each), rel=1e-12)
    assert [run.mae for run in experiment.runs] == each


def test_folds_are_put_together(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, folds=2)
    result = compared(made)
    experiment = result.experiments[0]
    assert (experiment.seeds, experiment.folds, experiment.episodes) == (1, 2, 24)
    assert result.groups[0].episodes == 24
    assert [run.fold for run in experiment.runs] == [0, 1]


def test_failure_10_experiments_of_different_manifests_are_not_compared(tmp_path: Path) -> None:
    made = make_results(tmp_path, 3)
    change(made.evaluations[2], manifest="0" * 64)
    result = again(made)
    members = [[member.experiment for member in group.experiments] for group in result.groups]
    assert members == [["lora", "lora_r8"], ["head_only"]]
    (refused,) = result.not_compared
    assert refused.experiments == (["lora", "lora_r8"], ["head_only"])
    assert "demo had other episodes when they were scored" in str(refused.why)
    assert "000000000000" in str(refused.why)
    assert str(result.groups[1].why_no_pairs) == "there is no other experiment on the same data"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dataset": "corridor"}, "the datasets demo and corridor"),
        ({"split": "1"}, "different splits of demo"),
        ({"scored_on": "val"}, "one is scored on test episodes and the other on val episodes"),
        ({"dimensions": ["linear_x", "angular_z"]}, "linear_x, linear_y and linear_x, angular_z"),
    ],
)
def test_what_differs_is_said(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    made = make_results(tmp_path, 2)
    change(made.evaluations[1], **changed)
    (refused,) = again(made).not_compared
    assert why in str(refused.why)


def test_runs_of_one_experiment_on_different_data_are_an_error(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1, seeds=2)
    change(made.evaluations[1], split="1")
    with pytest.raises(UserError, match=r"'lora': its runs seed0 and seed1 cannot be put together"):
        again(made)


def test_without_a_common_step_it_says_why(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    with np.load(made.predictions[1]) as data:
        arrays = {**data, "ahead": data["ahead"] + 100}
    np.savez(made.predictions[1], **arrays)
    change(made.evaluations[1], predictions_file=FileDigest.of(made.predictions[1]).model_dump())
    (group,) = again(made).groups
    assert group.pairs == [] and "share no step" in str(group.why_no_pairs)
    assert [member.mae for member in group.experiments] == [None, None]


def test_selected_on_the_scored_episodes_no_pair_has_a_winner(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, beats=[True, False], scored_on="val")
    (group,) = compared(made).groups
    (pair,) = group.pairs
    assert (pair.better, pair.needed) == (None, None)
    assert [member.letters for member in group.experiments] == [[], []]  # untested is not tied


def test_damaged_predictions_are_refused(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    made.predictions[0].write_bytes(b"no zip")
    with pytest.raises(UserError, match="its bytes are not those that were written"):
        again(made)


def test_other_measures_are_those_of_the_runs_beside_the_best_baseline_of_each(
    tmp_path: Path,
) -> None:
    made = make_results(tmp_path, 1, seeds=2)
    runs = [EvaluationResult.read(path) for path in made.evaluations]
    (own,) = compared(made).experiments
    found = {each.name: each for each in own.measures}
    assert list(found) == ["tolerance", "direction", "macro_f1", "rmse", "displacement"]

    def share(predictor: str) -> float:
        return float(np.mean([run.tolerance.match[predictor][2] for run in runs]))

    def rmse(baseline: str) -> float:
        return float(np.mean([run.baselines[baseline].rmse["overall"] for run in runs]))

    within = found["tolerance"]
    assert within.tolerance == 0.2
    assert within.best == pytest.approx(max(map(share, own.baselines)))
    assert within.best == pytest.approx(share(within.baseline))
    assert within.policy == pytest.approx(share("policy"))
    assert found["rmse"].best == pytest.approx(min(map(rmse, own.baselines)))
    assert {each.name: each.ahead for each in own.measures}["direction"] == "policy"
    assert [each.ahead for each in own.disagreeing] == ["baseline"] * len(own.disagreeing)


@pytest.mark.parametrize(
    ("outcome", "named"),
    [("beats", ["rmse"]), ("does_not_beat", ["direction"]), ("inconclusive", [])],
)
def test_a_measure_disagrees_where_it_says_the_opposite(
    outcome: str, named: list[str], tmp_path: Path
) -> None:
    (own,) = compared(make_results(tmp_path, 1)).experiments
    kinds: list[tuple[str, str | None]] = [
        ("tolerance", None),
        ("direction", "policy"),
        ("rmse", "baseline"),
    ]
    template = own.measures[0]
    measures = [template.model_copy(update={"name": a, "ahead": b}) for a, b in kinds]
    verdict = own.verdict.model_copy(update={"outcome": outcome})
    changed = own.model_copy(update={"measures": measures, "verdict": verdict})
    assert [each.name for each in changed.disagreeing] == named


def test_letters_are_shared_by_the_pairs_that_are_not_conclusive(tmp_path: Path) -> None:
    (group,) = compared(make_results(tmp_path, 3, beats=[True, False, True])).groups
    letters = {member.experiment: set(member.letters) for member in group.experiments}
    for pair in group.pairs:
        one, other = pair.experiments
        assert bool(letters[one] & letters[other]) == (pair.better is None)
    assert len({frozenset(own) for own in letters.values()}) > 1
    best = min(group.experiments, key=lambda own: own.mae.value if own.mae else 1.0)
    assert best.letters[0] == "a"


def test_an_experiment_alone_has_no_letter(tmp_path: Path) -> None:
    (group,) = compared(make_results(tmp_path, 1)).groups
    assert [member.letters for member in group.experiments] == [[]]


def test_an_experiment_on_a_mixture_is_compared_on_the_dataset_of_another(tmp_path: Path) -> None:
    """The second run stands for one on a mixture, and its scores for those on `demo` alone."""
    made = make_results(tmp_path, 3)
    (before,) = compared(made).groups
    runs = [ComparedRun(experiment=own.experiment, run=own.run) for own in made.settings.runs]
    mixed = runs[1].experiment
    own, predictions = made.evaluations[1], made.predictions[1]
    part = own.parent / "on/demo"
    part.mkdir(parents=True)
    for file in (own, predictions):
        shutil.copy(file, part)
    change(own, dataset="mix", manifest="0" * 64)
    runs[1] = runs[1].model_copy(update={"members": ("demo",)})
    settings = CompareSettings(runs=tuple(runs), uncertainty=UNCERTAINTY)
    assert part / "evaluation.json" in settings.files(made.folder / "results")
    compare(settings, made.folder / "results", ComparisonFiles(made.comparison))
    result = compared(made)
    (group,) = result.on_members
    assert (group.dataset, len(result.groups)) == ("demo", 2)
    assert [set(pair.experiments) for pair in group.pairs] == [
        {mixed, one.experiment} for one in (runs[0], runs[2])
    ]
    expected = {frozenset(pair.experiments): pair.difference for pair in before.pairs}
    for pair in group.pairs:
        found = expected[frozenset(pair.experiments)]
        assert abs(pair.difference) == pytest.approx(abs(found), rel=1e-9)
    assert all(member.letters == [] for member in group.experiments)
    assert [group.dataset for group in result.groups] == ["demo", "mix"]
    assert result.not_compared == []

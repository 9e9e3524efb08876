"""How well open-loop measures rank experiments and checkpoints as driving does."""

import numpy as np
import pytest

from mobile_vla.comparison.driving import RunDrives, checkpoint_ranks, driven_group
from mobile_vla.comparison.result import RunScore
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.layout import TrainingFiles
from mobile_vla.reporting.driving_ranks import rank_tables
from mobile_vla.statistics.proportions import paired_mean
from mobile_vla.texts import Texts
from mobile_vla.training.result import write_metrics
from support.comparisons import compared, judged, with_drives
from support.report import ENGLISH
from support.training_results import epoch_of

UNCERTAINTY = Uncertainty(draws=1000)
ERRORS = {"a": 0.10, "b": 0.12, "c": 0.15, "d": 0.19}


def measure(name, value):
    tolerance = 0.2 if name == "tolerance" else None
    best = {"baseline": "replay", "best": 0.5, "ahead": None}
    return {"name": name, "tolerance": tolerance, "policy": value, **best}


def scored(success, errors=ERRORS, ahead=(), **measures):
    """Return the comparison of experiments that were driven, and which measures each has."""
    experiments = []
    for place, (name, error) in enumerate(errors.items()):
        own = judged(name, "beats")
        own["mae"] = {**own["mae"], "value": error}
        own["measures"] = [
            measure(kind, values[place])
            for kind, values in measures.items()
            if values[place] is not None
        ]
        experiments.append(own)
    return with_drives(compared(*experiments, ahead=ahead), success)


def coefficients(result):
    return {own.measure: own.correlation.value for own in result.groups[0].driven.ranks}


def test_plus_one_is_the_order_by_driving_for_errors_and_for_shares():
    result = scored(
        {"a": [0.9, 0.8], "b": [0.7], "c": [0.5], "d": [0.1]},
        tolerance=[0.9, 0.8, 0.7, 0.6],
        rmse=[0.1, 0.2, 0.3, 0.4],
        displacement=[4.0, 3.0, 2.0, 1.0],
        direction=[0.9, None, 0.7, 0.6],
    )
    assert coefficients(result) == pytest.approx(
        {"mae": 1, "tolerance": 1, "rmse": 1, "displacement": -1}
    )  # and nothing of what an experiment lacks
    assert result.groups[0].driven.success == pytest.approx(
        {"a": 0.85, "b": 0.7, "c": 0.5, "d": 0.1}
    )


def test_who_arrives_more_often_is_told_by_scene_and_corrected_for_the_number_of_differences():
    few = Uncertainty(draws=1000)
    scenes = tuple((scene, side) for scene in range(60) for side in ("left", "right"))
    group = scored({}).groups[0]
    scores = {own.experiment: own for own in scored({}).experiments}

    def found(**succeeding):
        drives = {
            name: [RunDrives(scenes, np.arange(120) < count) for count in counts]
            for name, counts in succeeding.items()
        }
        return driven_group(group, scores, drives, few)

    two = found(a=[60], b=[72])
    gap = two.against_lowest["b"]
    by_scene = np.repeat([0.0, 1.0, 0.0], [30, 6, 24])
    assert gap == paired_mean(by_scene, few)
    assert (gap.units, gap.mean, two.lowest, two.more_often) == (60, pytest.approx(0.1), "a", ["b"])
    four = found(a=[60], b=[72], c=[66], d=[84, 84])
    assert four.against_lowest["b"] == paired_mean(
        by_scene, few.model_copy(update={"confidence": 1 - 0.05 / 3})
    )
    assert four.more_often[0] == "d"
    assert found(a=[60], b=[61]).more_often == []


def test_experiments_that_drove_other_scenes_are_not_compared():
    result = scored({})
    here, there = (((scene, "left") for scene in range(first, first + 20)) for first in (0, 5))
    drives = {
        name: [RunDrives(tuple(scenes), np.full(20, name == "b"))]
        for name, scenes in (("a", here), ("b", there))
    }
    scores = {own.experiment: own for own in result.experiments}
    found = driven_group(result.groups[0], scores, drives, UNCERTAINTY)
    assert (found.against_lowest, found.more_often) == ({}, [])
    assert found.success == {"a": 0, "b": 1}


def test_experiments_that_were_not_driven_are_no_points():
    driven = {name: [rate] for name, rate in zip("abd", (0.1, 0.2, 0.3), strict=True)}
    result = scored(driven)
    (own,) = result.groups[0].driven.ranks
    assert (own.correlation.points, own.correlation.why_none) == (3, "few")
    assert scored({}).groups[0].driven is None


def test_checkpoints_are_ranked_by_what_their_metrics_hold(tmp_path):
    run = ComparedRun(experiment="a", run="seed0", driven=True)
    path = TrainingFiles.below(tmp_path, **run.names()).metrics
    path.parent.mkdir(parents=True)
    pairs = [(0.5, 0.0), (0.4, 0.2), (0.3, 0.6), (0.35, 0.8), (0.2, 0.7)]
    epochs = [
        epoch_of(number, loss, loss, val_success=success)
        for number, (loss, success) in enumerate(pairs)
    ]
    write_metrics(path, epochs)
    found = {own.measure: own.correlation for own in checkpoint_ranks(run, tmp_path, UNCERTAINTY)}
    assert set(found) == {"val_loss", "val_mae"}
    assert found["val_loss"].value == pytest.approx(0.7) and found["val_loss"].points == 5
    assert checkpoint_ranks(run.model_copy(update={"driven": False}), tmp_path, UNCERTAINTY) == []
    settings = CompareSettings(runs=(run,), uncertainty=UNCERTAINTY)
    assert path in settings.files(tmp_path)


def test_the_report_says_who_leads_by_error_and_who_by_driving():
    success = {"a": [0.5], "b": [0.9], "c": [0.4], "d": [0.1]}
    result = scored(success, ahead=[("a", "d")], tolerance=[0.5] * 4)
    (table,) = rank_tables(result, ENGLISH)
    assert [(row.measure, row.coefficient) for row in table.rows] == [
        ("mean absolute error", "+0.80"),
        ("steps within 0.200 of the truth", "–"),
    ]
    assert table.rows[1].interval == "none, as all have the same value"
    assert [sentence.replace("\u00a0", " ") for sentence in table.sentences] == [
        "The lowest error is that of a, which succeeds in 50 % of its rollouts; b succeeds most "
        "often, in 90 %.",
        "The difference is 40.0 percentage points (7.9 to 74.3), more than chance explains.",
    ]
    (close,) = rank_tables(scored({**success, "b": [0.65]}, ahead=[("a", "d")]), ENGLISH)
    assert "15.0 percentage points, in too few scenes" in close.sentences[1]
    differing = np.repeat([-1.0, 0.0, 1.0], [10, 2, 18])
    gap = {"b": paired_mean(differing / 2, UNCERTAINTY)}
    driven = result.groups[0].driven.model_copy(update={"against_lowest": gap})
    groups = [result.groups[0].model_copy(update={"driven": driven})]
    (table,) = rank_tables(result.model_copy(update={"groups": groups}), ENGLISH)
    assert table.sentences[1].endswith("), which may be chance.")
    (same,) = rank_tables(scored({**success, "a": [0.9]}, ahead=[("a", "d")]), ENGLISH)
    assert same.sentences == ()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_with_three_experiments_no_coefficient_is_given_and_it_says_why(language):
    errors = dict(list(ERRORS.items())[:3])
    result = scored({name: [0.5] for name in errors}, errors)
    (table,) = rank_tables(result, Texts.of(language))
    assert table.rows == ()
    (sentence,) = table.sentences
    assert "3" in sentence and "4" in sentence and "demo" in sentence
    assert rank_tables(scored({}), ENGLISH) == []


def test_checkpoints_stand_below_with_a_word_on_their_intervals(tmp_path):
    result = scored({})
    (ranks,) = (
        scored({name: [0.5 + error] for name, error in ERRORS.items()}).groups[0].driven.ranks
    )
    few = ranks.model_copy(
        update={
            "correlation": ranks.correlation.model_copy(update={"points": 2, "why_none": "few"})
        }
    )
    kinds = {"a": [ranks], "b": [few]}
    experiments = [
        own.model_copy(update={"runs": [run_of(own.experiment, kinds.get(own.experiment, []))]})
        for own in result.experiments
    ]
    (table,) = rank_tables(result.model_copy(update={"experiments": experiments}), ENGLISH)
    assert [(row.label, row.coefficient) for row in table.rows] == [("a", "−1.00")]
    assert len(table.sentences) == 2 and "too narrow" in table.sentences[0]
    assert table.sentences[1].startswith("b was driven after 2 epochs")


def run_of(name, checkpoints):
    return RunScore(
        run="seed0", seed=0, fold=0, held_out=None, mae=0.1, skill=None, checkpoints=checkpoints
    )

"""Errors against scikit-learn and scipy, and cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import huber as scipy_huber
from sklearn.metrics import (
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)

from mobile_vla.config.windows import Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.evaluation.metrics import errors, errors_by, huber, match_rates
from mobile_vla.evaluation.result import Errors
from mobile_vla.evaluation.scored_windows import ScoredWindows
from support.synthetic_datasets import make_dataset, names

XY = ("linear_x", "linear_y")


def drawn(steps: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.choice([-1.15, 0, 1.15], (steps, 2))
    return truth + rng.normal(0, [0.3, 0.7], (steps, 2)), truth


def test_errors_by_hand() -> None:
    prediction, truth = np.array([[1.0, -2], [3, 0]]), np.zeros((2, 2))
    found = errors(prediction, truth, XY)
    assert found == Errors(
        mae={"overall": 1.5, "linear_x": 2.0, "linear_y": 1.0},
        mse={"overall": 3.5, "linear_x": 5.0, "linear_y": 2.0},
        rmse={"overall": 3.5**0.5, "linear_x": 5**0.5, "linear_y": 2**0.5},
        r2={"overall": None, "linear_x": None, "linear_y": None},
    )


def test_errors_agree_with_scikit_learn() -> None:
    prediction, truth = drawn()
    found = errors(prediction, truth, XY)
    overall = {
        "mae": mean_absolute_error(truth, prediction),
        "mse": mean_squared_error(truth, prediction),
        "rmse": mean_squared_error(truth, prediction) ** 0.5,
        "r2": r2_score(truth, prediction, multioutput="variance_weighted"),
    }
    for metric, function in {
        "mae": mean_absolute_error,
        "mse": mean_squared_error,
        "rmse": root_mean_squared_error,
        "r2": r2_score,
    }.items():
        assert getattr(found, metric)["overall"] == pytest.approx(overall[metric], rel=1e-12)
        each = function(truth, prediction, multioutput="raw_values")
        values = [getattr(found, metric)[name] for name in XY]
        assert values == pytest.approx(each.tolist(), rel=1e-12)


def test_errors_of_groups_are_those_of_their_steps_alone() -> None:
    prediction, truth = drawn()
    group = np.random.default_rng(1).integers(0, 5, len(truth))
    found = errors_by(prediction, truth, group, 5, XY)
    for index, own in enumerate(found):
        alone = errors(prediction[group == index], truth[group == index], XY)
        for metric, values in alone:
            assert getattr(own, metric) == pytest.approx(values, rel=1e-12)


def test_the_loss_agrees_with_scipy_and_leaves_padding_out() -> None:
    prediction, truth = drawn()
    expected = scipy_huber(0.4, (prediction[:, 1] - truth[:, 1]) / 1.15).mean()
    assert huber(prediction, truth, 1.15, 0.4, [1]) == pytest.approx(expected, rel=1e-12)


def test_a_constant_truth_has_no_r2_however_it_is_rounded() -> None:
    truth = np.full((7, 1), 0.1)
    assert errors(truth + 0.3, truth, ("linear_x",)).r2["linear_x"] is None


def test_shapes_that_do_not_belong_together_and_empty_groups_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must both be \(2, 2\)"):
        errors(np.zeros((2, 1)), np.zeros((2, 2)), XY)
    with pytest.raises(ValueError, match="no step"):
        errors(np.zeros((0, 2)), np.zeros((0, 2)), XY)
    with pytest.raises(ValueError, match="without a step"):
        errors_by(np.zeros((1, 2)), np.zeros((1, 2)), np.array([1]), 2, XY)


def test_match_rates_are_a_curve() -> None:
    truth = np.zeros((4, 2))
    prediction = np.array([[0.1, 0.0], [0.1, -0.3], [0.0, 0.3], [2.0, 0.0]])
    found = match_rates(prediction, truth, (0.05, 0.1, 0.3, 1.0, 2.0))
    assert found == [0, 0.25, 0.75, 0.75, 1]


@pytest.mark.parametrize(("target", "first"), [("next", 3), ("current", 2)])
def test_steps_know_their_frame_and_masked_ones_are_left_out(tmp_path, target, first) -> None:
    first_name, second_name = names(2)
    dataset = make_dataset(tmp_path, {first_name: 6, second_name: 5})
    windows = Windows(window=3, chunk=2, target=target, tail="mask")
    table = make_windows(dataset, [1, 0], windows)
    scored = ScoredWindows.of(dataset, table, dataset.actions[:, :2], target, XY)
    assert scored.episodes == (second_name, first_name)  # as the windows come
    assert len(scored.steps) == table.mask.sum()
    assert scored.steps.frame[0] == first
    for step in range(len(scored.steps)):
        owner = dataset.index(scored.episodes[scored.steps.episode[step]])
        row = dataset.offsets[owner] + scored.steps.frame[step]
        assert scored.steps.frame[step] < dataset.lengths[owner]
        assert np.array_equal(scored.steps.truth[step], dataset.actions[row, :2])
    with pytest.raises(ValueError, match="of windows"):
        scored.flat(np.zeros((1, 2, 2)))

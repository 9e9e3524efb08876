from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.evaluation import metrics
from mobile_vla.evaluation.metrics import ErrorSums, errors

XY = ("linear_x", "linear_y")


def test_errors_by_hand() -> None:
    truth = np.zeros((1, 2, 2), dtype=np.float32)
    prediction = np.array([[[1, -2], [3, 0]]], dtype=np.float32)
    found = errors(prediction, truth, np.ones((1, 2), dtype=bool), XY)
    assert found == {
        "mae": {"overall": 1.5, "linear_x": 2.0, "linear_y": 1.0},
        "mse": {"overall": 3.5, "linear_x": 5.0, "linear_y": 2.0},
        "rmse": {"overall": 3.5**0.5, "linear_x": 5**0.5, "linear_y": 2**0.5},
    }


def test_masked_steps_do_not_count_and_each_other_step_counts_once() -> None:
    truth = np.zeros((2, 3, 1), dtype=np.float32)
    prediction = np.array([[[4], [0], [0]], [[2], [99], [np.nan]]], dtype=np.float32)
    mask = np.array([[True, True, True], [True, False, False]])
    found = errors(prediction, truth, mask, ("linear_x",))
    # Pooled over four steps; the mean of the windows' means would be (4/3 + 2) / 2.
    assert found["mae"]["overall"] == pytest.approx(6 / 4, abs=0)
    assert found["mse"]["linear_x"] == pytest.approx(20 / 4, abs=0)


def test_sums_are_kept_in_float64() -> None:
    # In float32, adding 1 to 2^24 changes nothing, and the second half would be lost.
    prediction = np.ones((3, 1, 1), dtype=np.float32)
    prediction[0] = 2**24
    found = errors(prediction, np.zeros_like(prediction), np.ones((3, 1), dtype=bool), ("x",))
    assert found["mae"]["overall"] == (2**24 + 2) / 3


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(-3, 4, (2, 11, 4, 2)).astype(np.float32)
    mask = rng.random((11, 4)) < 0.7
    whole = errors(prediction, truth, mask, XY)
    monkeypatch.setattr(metrics, "BLOCK", 3)
    assert errors(prediction, truth, mask, XY) == whole
    sums = ErrorSums(XY)
    for part in (slice(0, 5), slice(5, 11)):
        sums.add(prediction[part], truth[part], mask[part])
    assert sums.averages() == whole
    difference = np.abs(prediction - truth)[mask]
    assert whole["mae"]["overall"] == pytest.approx(difference.mean(dtype=np.float64))


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    mask = np.ones((2, 3), dtype=bool)
    with pytest.raises(ValueError, match=r"must both be \(2, 3, 2\)"):
        errors(np.zeros((2, 3, 1)), np.zeros((2, 3, 2)), mask, XY)


def test_nothing_to_average_is_an_error() -> None:
    with pytest.raises(ValueError, match="no unmasked step"):
        errors(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.zeros((1, 2), dtype=bool), XY)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobile_vla.errors import UserError
from mobile_vla.evaluation.score import score
from mobile_vla.files import canonical_json

TRUTH = np.full((3, 2, 1), 2.0, dtype=np.float32)


def scored(prediction: np.ndarray, **changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "experiment": "lora",
        "run": "seed0",
        "dataset": "demo",
        "backbone": "tiny",
        "manifest": "m",
        "split": "s",
        "fold": 0,
        "folds": 1,
        "held_out": None,
        "trained_on": {"dataset": "demo"},
        "scored_on": "test",
        "dimensions": ("linear_x",),
        "episodes": np.array(["b", "b", "a"]),
        "prediction": prediction,
        "truth": TRUTH,
        "mask": np.array([[True, True], [True, False], [True, True]]),
        "baselines": {"zero": np.zeros_like(TRUTH), "train_mean": TRUTH - 1},
    }
    return score(**{**values, **changed})


def test_the_best_baseline_and_the_skill() -> None:
    found = scored(TRUTH + 0.25)
    assert found["best_baseline"] == {"name": "train_mean", "mae": 1.0}
    assert found["beats_best_baseline"] is True
    assert found["skill"] == 0.75
    assert found["baselines"]["zero"]["mae"] == {"overall": 2.0, "linear_x": 2.0}
    assert (found["episodes"], found["windows"], found["steps"]) == (2, 3, 5)
    canonical_json(found)  # plain JSON types, no NaN


@pytest.mark.parametrize(("off", "skill"), [(1.0, 0.0), (1.5, -0.5)])
def test_as_good_as_a_baseline_is_not_better(off: float, skill: float) -> None:
    found = scored(TRUTH + np.float32(off))
    assert found["beats_best_baseline"] is False
    assert found["skill"] == skill


def test_no_verdict_where_the_checkpoint_was_selected_on_the_scored_episodes() -> None:
    found = scored(TRUTH, scored_on="val")
    assert found["selected_on_scored"] is True
    assert found["beats_best_baseline"] is None
    assert scored(TRUTH)["selected_on_scored"] is False


def test_each_episode_apart_in_the_order_of_the_windows() -> None:
    prediction = TRUTH.copy()
    prediction[0, 1] += 3  # one of the three steps of b
    prediction[1, 1] += 100  # masked
    assert scored(prediction)["per_episode"] == [
        {"episode": "b", "windows": 2, "mae": 1.0},
        {"episode": "a", "windows": 1, "mae": 0.0},
    ]


def test_no_skill_beside_a_perfect_baseline() -> None:
    found = scored(TRUTH, baselines={"train_mean": TRUTH})
    assert found["skill"] is None
    assert found["beats_best_baseline"] is False


def test_predictions_that_are_not_finite_stop_with_their_number() -> None:
    prediction = TRUTH.copy()
    prediction[0, 0] = np.inf
    prediction[1, 1] = np.nan  # masked: does not matter
    with pytest.raises(UserError, match="lora/seed0: 1 of 5 predicted steps are not finite"):
        scored(prediction)


def test_nothing_to_score_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"no window of the test episodes of demo .* shorter"):
        scored(TRUTH, mask=np.zeros((3, 2), dtype=bool))

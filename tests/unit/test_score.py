"""The content of ``evaluation.json``, by hand where it can be."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import UserError
from mobile_vla.evaluation.predictors import Competitors
from mobile_vla.evaluation.score import Rules, score
from mobile_vla.evaluation.steps import Scored
from mobile_vla.files import canonical_json

RULES = Rules(Evaluation(), Uncertainty(draws=1000), 1.15, ("linear_y",), 1.0, ("side",))
FACTS = {"experiment": "lora", "run": "seed0", "dataset": "demo", "scored_on": "test"}


def windows(episodes: int = 2, count: int = 2, chunk: int = 2, **changed: Any) -> Scored:
    """Return windows of W=4: forward, with a turn to the side as the last step of each chunk."""
    truth = np.zeros((episodes * count, chunk, 2), dtype=np.float32)
    truth[..., 0] = 1
    truth[:, -1, 1] = 1
    values: dict[str, Any] = {
        "episodes": tuple(f"episode {index}" for index in range(episodes)),
        "scenarios": tuple({"side": ("left", "right")[index % 2]} for index in range(episodes)),
        "episode": np.repeat(np.arange(episodes), count),
        "last_frame": np.tile(np.arange(count) + 3, episodes),
        "ahead": np.arange(chunk) + 1,
        "truth": truth,
        "mask": np.ones((episodes * count, chunk), dtype=bool),
        "dimensions": ("linear_x", "linear_y"),
    }
    return Scored(**{**values, **changed})


def scored(own: Scored, prediction: np.ndarray, scored_on: str = "test", **others: Any) -> Any:
    every = {"zero": np.zeros_like(own.truth), "train_mean": own.truth - 1}
    parts: Any = {"baselines": every, "controls": {}, "absent": {}, "fitted": {}}
    competitors = Competitors(**(parts | others))
    return score({**FACTS, "scored_on": scored_on}, own, prediction, competitors, RULES)


def test_the_best_baseline_the_skill_and_the_denominators() -> None:
    own = windows()
    found = scored(own, own.truth + np.float32(0.125))
    # zero is wrong by 1 in linear_x, and in linear_y at one of two steps: (1 + 0.5) / 2
    assert found["best_baseline"] == {"name": "zero", "mae": 0.75}
    assert found["baselines"]["train_mean"]["mae"]["overall"] == 1.0
    assert found["skill"] == 1 - 0.125 / 0.75
    assert (found["episodes"], found["windows"], found["steps"]) == (2, 4, 8)
    canonical_json(found)  # plain JSON types, no NaN


def test_the_loss_is_normalised_and_over_learnt_dimensions_only() -> None:
    own = windows()
    prediction = own.truth.copy()
    prediction[..., 0] += 1.15
    prediction[..., 1] += 99  # left out of the loss, because it never varied in training
    found = scored(own, prediction)["loss"]
    assert found["huber_normalised"] == pytest.approx(0.5, rel=1e-6)
    assert found["dimensions"] == ["linear_x"]


def test_parts_have_their_own_denominators() -> None:
    own = windows()
    prediction = own.truth.copy()
    prediction[:, 1] += 0.5  # wrong at the second step alone
    prediction[2:, :, 0] += 1  # and in the second episode, which passes on the right
    found = scored(own, prediction)
    assert [part["step"] for part in found["by_step"]] == [1, 2]
    assert found["by_step"][0]["policy"]["mae"]["overall"] == 0.25
    assert found["by_step"][1]["policy"]["mae"]["overall"] == 0.75
    assert found["by_step"][1]["mae"]["zero"] == 1.0
    assert [(part["frame"], part["steps"], part["windows"]) for part in found["by_frame"]] == [
        (4, 2, 2),
        (5, 4, 4),
        (6, 2, 2),
    ]
    assert [(part["cell"], part["episodes"], part["steps"]) for part in found["by_cell"]] == [
        ({"side": "left"}, 1, 4),
        ({"side": "right"}, 1, 4),
    ]
    assert found["by_cell"][1]["policy"]["mae"]["linear_x"] == 1.25
    first = found["parts"]["first_step"]
    assert (first["steps"], first["policy"]["mae"]["overall"]) == (4, 0.25)
    assert found["parts"]["stops"] is None
    assert found["parts"]["turns"]["steps"] == 4


def test_failure_19_frame_0_is_scored_apart() -> None:
    """The zero first frame once dominated "stop"; here there are numbers with and without it."""
    own = windows(last_frame=np.array([0, 1, 0, 1]), ahead=np.arange(2))
    prediction = own.truth.copy()
    prediction[[0, 2], 0, 0] += 1  # frame 0 of both episodes
    found = scored(own, prediction)
    assert found["policy"]["mae"]["linear_x"] == 0.25
    without = found["parts"]["without_frame_0"]
    assert (without["steps"], without["policy"]["mae"]["linear_x"]) == (6, 0)


def test_changes_are_where_the_motion_is_not_that_of_the_frame_before() -> None:
    own = windows(episodes=1, count=3, chunk=1)
    own.truth[:, 0] = [[1, 0], [0, 0], [0, 0]]
    found = scored(own, own.truth)
    assert found["parts"]["changes"]["steps"] == 1  # from forward to stop; the first has no before
    assert found["parts"]["stops"]["steps"] == 2
    assert found["motion"]["stop"] == {
        "precision": 1.0,
        "predicted_steps": 2,
        "recall": 1.0,
        "true_steps": 2,
    }


def test_pooled_and_per_episode_averages_are_named_as_such() -> None:
    mask = np.array([[True, True], [True, True], [True, False], [False, False]])
    own = windows(mask=mask)
    prediction = own.truth.copy()
    prediction[2] += 1  # the second episode's only step
    found = scored(own, prediction)
    assert found["mae"]["policy"]["pooled"]["value"] == pytest.approx(1 / 5)
    assert found["mae"]["policy"]["per_episode"] == pytest.approx(1 / 2)
    each = found["per_episode"]
    assert [(own["windows"], own["steps"], own["mae"]) for own in each] == [(2, 4, 0), (1, 1, 1)]
    assert (found["windows"], found["steps"]) == (3, 5)


def test_paths_and_match_rates() -> None:
    own = windows(episodes=1, count=1, chunk=3)
    prediction = own.truth.copy()
    prediction[0, 0, 0] = 1.5
    found = scored(own, prediction)
    assert found["displacement"]["policy"] == {"ade": 0.5, "fde": 0.5}
    curve = found["tolerance"]
    rates = dict(zip(curve["tolerances"], curve["match"]["policy"], strict=True))
    assert (rates[0.4], rates[0.5]) == (2 / 3, 1)
    assert found["smoothness"]["policy"]["linear_x"] == 0.25
    assert found["saturation"]["policy"]["linear_x"] == pytest.approx(1 / 3)


def test_no_skill_beside_a_perfect_baseline() -> None:
    own = windows(episodes=8)
    found = scored(own, own.truth, baselines={"train_mean": own.truth})
    assert found["skill"] is None
    assert found["verdict"]["outcome"] == "does_not_beat"


def test_predictions_that_are_not_finite_stop_with_their_number() -> None:
    mask = np.array([[True, True], [True, False], [True, True], [True, True]])
    own = windows(mask=mask)
    prediction = own.truth.copy()
    prediction[0, 0] = np.inf
    prediction[1, 1] = np.nan  # masked: does not matter
    with pytest.raises(UserError, match="lora/seed0: 1 of 7 predicted steps are not finite"):
        scored(own, prediction)


def test_nothing_to_score_says_what_to_do() -> None:
    own = windows(mask=np.zeros((4, 2), dtype=bool))
    with pytest.raises(UserError, match=r"no window of the test episodes of demo .* shorter"):
        scored(own, own.truth)


def test_a_thousand_episodes_take_what_their_predictions_take() -> None:
    """Nothing is held for each draw of an episode, nor for each pair of predictors."""
    peaks = []
    for episodes in (100, 1000):
        own = windows(episodes=episodes, count=9, chunk=10)
        tracemalloc.start()
        scored(own, own.truth + np.float32(0.125))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    size = own.truth.astype(np.float64).nbytes
    assert peaks[1] - peaks[0] < 40 * size < 60e6

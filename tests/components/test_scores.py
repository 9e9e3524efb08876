"""A run's scores, worked by hand where possible."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import UserError
from mobile_vla.evaluation.predictors import Predictions
from mobile_vla.evaluation.result import (
    BestBaseline,
    Displacement,
    EvaluationResult,
    Slice,
    StopDetection,
)
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.scores import ScoringRules, check_predictions, score
from mobile_vla.files import read_json
from support.scored_runs import NO_FILE, scored_run

RULES = ScoringRules(
    Evaluation(), Uncertainty(draws=1000), 1.15, ("linear_y",), 1.0, ("side",), (1.0, 1.0)
)
RUN = scored_run()


def windows(episodes: int = 2, count: int = 2, chunk: int = 2, **changed: Any) -> ScoredWindows:
    """Return windows of W=4: forward, with a turn to the side as the last step of each chunk."""
    truth = np.zeros((episodes * count, chunk, 2), dtype=np.float32)
    truth[..., 0] = 1
    truth[:, -1, 1] = 1
    values: dict[str, Any] = {
        "episodes": tuple(f"episode {index}" for index in range(episodes)),
        "groups": tuple(f"scene {index}" for index in range(episodes)),
        "scenarios": tuple({"side": ("left", "right")[index % 2]} for index in range(episodes)),
        "episode": np.repeat(np.arange(episodes), count),
        "last_frame": np.tile(np.arange(count) + 3, episodes),
        "ahead": np.arange(chunk) + 1,
        "truth": truth,
        "mask": np.ones((episodes * count, chunk), dtype=bool),
        "dimensions": ("linear_x", "linear_y"),
    }
    return ScoredWindows(**{**values, **changed})


def scores(drawn: ScoredWindows, prediction: np.ndarray, **others: Any) -> EvaluationResult:
    baselines = {"zero": np.zeros_like(drawn.truth), "train_mean": drawn.truth - 1}
    parts: Any = {"baselines": baselines, "controls": {}, "absent": {}, "fitted": {}}
    return score(RUN, drawn, Predictions(prediction, **(parts | others)), RULES, NO_FILE)


def test_chance_draws_whole_groups():
    """A scene whose second side repeats the first one adds nothing to what is known."""
    rng = np.random.default_rng(0)
    one = windows(10, chunk=1)
    noise = rng.normal(0, 0.3, one.truth.shape).astype(np.float32)
    alone = scores(one, one.truth + noise)
    both = windows(20, chunk=1, groups=tuple(f"scene {index % 10}" for index in range(20)))
    twice = scores(both, both.truth + np.concatenate([noise, noise]))
    assert (twice.verdict.episodes, twice.verdict.groups) == (20, 10)
    assert alone.verdict.groups == alone.verdict.episodes == 10
    assert twice.mae["policy"].pooled == alone.mae["policy"].pooled
    for name, gap in alone.differences.items():
        again = twice.differences[name]
        assert (again.low, again.high, again.p) == (gap.low, gap.high, gap.p)
    few = windows(14, groups=tuple(f"scene {index % 7}" for index in range(14)))
    assert scores(few, few.truth).verdict.outcome == "inconclusive"  # 7 scenes are too few
    assert [own.group for own in twice.per_episode[:2]] == ["scene 0", "scene 1"]


def part_of(result: EvaluationResult, name: str) -> Slice:
    part = result.parts[name]
    assert part is not None
    return part


def test_the_best_baseline_the_skill_and_the_denominators() -> None:
    drawn = windows()
    result = scores(drawn, drawn.truth + np.float32(0.125))
    # zero is wrong by 1 in linear_x, and in linear_y at one of two steps: (1 + 0.5) / 2
    assert result.best_baseline == BestBaseline(name="zero", mae=0.75)
    assert result.baselines["train_mean"].mae["overall"] == 1.0
    assert result.skill == 1 - 0.125 / 0.75
    assert (result.episodes, result.windows, result.steps) == (2, 4, 8)


def test_a_file_read_is_the_result_written(tmp_path: Path) -> None:
    drawn = windows()
    result = scores(drawn, drawn.truth + np.float32(0.125))
    result.write(tmp_path / "evaluation.json")
    assert EvaluationResult.read(tmp_path / "evaluation.json") == result
    keys = list(read_json(tmp_path / "evaluation.json")["by_step"][0])
    assert keys == ["step", "episodes", "windows", "steps", "policy", "mae"]  # no frame, no cell


def test_the_loss_is_normalised_and_over_learnt_dimensions_only() -> None:
    drawn = windows()
    prediction = drawn.truth.copy()
    prediction[..., 0] += 1.15
    prediction[..., 1] += 99  # left out of the loss, because it never varied in training
    loss = scores(drawn, prediction).loss
    assert loss.huber_normalised == pytest.approx(0.5, rel=1e-6)
    assert loss.dimensions == ["linear_x"]


def test_parts_have_their_own_denominators() -> None:
    drawn = windows()
    prediction = drawn.truth.copy()
    prediction[:, 1] += 0.5  # wrong at the second step alone
    prediction[2:, :, 0] += 1  # and in the second episode, which passes on the right
    result = scores(drawn, prediction)
    assert [part.step for part in result.by_step] == [1, 2]
    assert result.by_step[0].policy.mae["overall"] == 0.25
    assert result.by_step[1].policy.mae["overall"] == 0.75
    assert result.by_step[1].mae["zero"] == 1.0
    assert [(part.frame, part.steps, part.windows) for part in result.by_frame] == [
        (4, 2, 2),
        (5, 4, 4),
        (6, 2, 2),
    ]
    assert [(part.cell, part.episodes, part.steps) for part in result.by_cell] == [
        ({"side": "left"}, 1, 4),
        ({"side": "right"}, 1, 4),
    ]
    assert result.by_cell[1].policy.mae["linear_x"] == 1.25
    first = part_of(result, "first_step")
    assert (first.steps, first.policy.mae["overall"]) == (4, 0.25)
    assert result.parts["stops"] is None
    assert part_of(result, "turns").steps == 4


def test_failure_19_frame_0_is_scored_apart() -> None:
    """The zero first frame once dominated "stop"; here there are numbers with and without it."""
    drawn = windows(last_frame=np.array([0, 1, 0, 1]), ahead=np.arange(2))
    prediction = drawn.truth.copy()
    prediction[[0, 2], 0, 0] += 1  # frame 0 of both episodes
    result = scores(drawn, prediction)
    assert result.policy.mae["linear_x"] == 0.25
    without = part_of(result, "without_frame_0")
    assert (without.steps, without.policy.mae["linear_x"]) == (6, 0)


def test_changes_are_where_the_motion_is_not_that_of_the_frame_before() -> None:
    drawn = windows(episodes=1, count=3, chunk=1)
    drawn.truth[:, 0] = [[1, 0], [0, 0], [0, 0]]
    result = scores(drawn, drawn.truth)
    # From forward to stop; there is no frame before the first.
    assert part_of(result, "changes").steps == 1
    assert part_of(result, "stops").steps == 2
    assert result.motion.stop == StopDetection(
        precision=1.0, predicted_steps=2, recall=1.0, true_steps=2
    )


def test_pooled_and_per_episode_averages_are_named_as_such() -> None:
    mask = np.array([[True, True], [True, True], [True, False], [False, False]])
    drawn = windows(mask=mask)
    prediction = drawn.truth.copy()
    prediction[2] += 1  # the second episode's only step
    result = scores(drawn, prediction)
    assert result.mae["policy"].pooled.value == pytest.approx(1 / 5)
    assert result.mae["policy"].per_episode == pytest.approx(1 / 2)
    each = [(episode.windows, episode.steps, episode.mae) for episode in result.per_episode]
    assert each == [(2, 4, 0), (1, 1, 1)]
    assert (result.windows, result.steps) == (3, 5)


def test_trajectories_and_match_rates() -> None:
    drawn = windows(episodes=1, count=1, chunk=3)
    prediction = drawn.truth.copy()
    prediction[0, 0, 0] = 1.5
    result = scores(drawn, prediction)
    assert result.displacement["policy"] == Displacement(ade=0.5, fde=0.5)
    curves = result.tolerance
    rates = dict(zip(curves.tolerances, curves.match["policy"], strict=True))
    assert (rates[0.4], rates[0.5]) == (2 / 3, 1)
    assert result.smoothness["policy"]["linear_x"] == 0.25
    assert result.saturation["policy"]["linear_x"] == pytest.approx(1 / 3)


def test_no_skill_beside_a_perfect_baseline() -> None:
    drawn = windows(episodes=8)
    result = scores(drawn, drawn.truth, baselines={"train_mean": drawn.truth})
    assert result.skill is None
    assert result.verdict.outcome == "does_not_beat"


def test_predictions_that_are_not_finite_stop_with_their_number() -> None:
    mask = np.array([[True, True], [True, False], [True, True], [True, True]])
    drawn = windows(mask=mask)
    prediction = drawn.truth.copy()
    prediction[0, 0] = np.inf
    prediction[1, 1] = np.nan  # masked: does not matter
    with pytest.raises(UserError, match="lora/seed0: 1 of 7 predicted steps are not finite"):
        check_predictions(RUN, drawn, prediction)


def test_nothing_to_score_says_what_to_do() -> None:
    drawn = windows(mask=np.zeros((4, 2), dtype=bool))
    with pytest.raises(UserError, match=r"no window of the test episodes of demo .* shorter"):
        check_predictions(RUN, drawn, drawn.truth)


def test_many_episodes_take_what_their_predictions_take() -> None:
    """Nothing is held for each draw of an episode, nor for each pair of predictors."""
    peaks = []
    for episodes in (50, 400):
        drawn = windows(episodes=episodes, count=9, chunk=10)
        tracemalloc.start()
        scores(drawn, drawn.truth + np.float32(0.125))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    size = drawn.truth.astype(np.float64).nbytes
    assert peaks[1] - peaks[0] < 40 * size < 25e6

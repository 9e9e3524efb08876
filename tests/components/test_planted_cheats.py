"""Policies that are good for the wrong reason: each is caught by the verdict, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mobile_vla.config.evaluation import EvaluateSettings, Evaluation
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import Problems, UserError
from mobile_vla.evaluation.baselines import TrainingFrames, vision_free_baselines
from mobile_vla.evaluation.evaluate import evaluate
from mobile_vla.evaluation.predictors import Predictions
from mobile_vla.evaluation.result import EvaluationResult, Verdict
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.scores import ScoringRules, score
from mobile_vla.files import read_json
from mobile_vla.layout import EvaluationFiles
from support.rewriting import rewrite
from support.scored_runs import NO_FILE, scored_run
from support.training_run import Inputs, run, settings_of

RULES = ScoringRules(Evaluation(), Uncertainty(draws=2000), 1.15, (), 1.0, ("side",), (1.0, 1.0))
FRAMES, CHUNK, TRAIN, TEST = 18, 4, 30, 24


def recorded(rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Return episodes that drive ahead and turn where the scene, which the image shows, says so.

    Returns:
        (count, FRAMES, 2) commands, and the scenarios.
    """
    actions = np.zeros((count, FRAMES, 2), dtype=np.float32)
    actions[:, 1:, 0] = 1.15
    scenarios = []
    for index in range(count):
        side = 1 if index % 2 else -1
        turn = rng.integers(5, 8)
        actions[index, turn : turn + 4, 1] = 1.15 * side
        scenarios.append({"side": "left" if side > 0 else "right"})
    return actions, scenarios


@pytest.fixture
def world() -> tuple[ScoredWindows, dict[str, np.ndarray], np.random.Generator]:
    """Return scored windows and the baselines on them."""
    rng = np.random.default_rng(0)
    train, train_scenarios = recorded(rng, TRAIN)
    test, scenarios = recorded(rng, TEST)
    last = np.arange(3, FRAMES - CHUNK)
    frames = last[:, None] + 1 + np.arange(CHUNK)
    episode = np.repeat(np.arange(TEST), len(last))
    scored = ScoredWindows(
        episodes=tuple(f"episode {index}" for index in range(TEST)),
        groups=tuple(f"episode {index}" for index in range(TEST)),
        scenarios=tuple(scenarios),
        episode=episode,
        last_frame=np.tile(last, TEST),
        ahead=np.arange(CHUNK) + 1,
        truth=test[:, frames].reshape(-1, CHUNK, 2),
        mask=np.ones((len(episode), CHUNK), dtype=bool),
        dimensions=("linear_x", "linear_y"),
    )
    frames_of_training = TrainingFrames(
        train.reshape(-1, 2),
        np.tile(np.arange(FRAMES), TRAIN),
        np.repeat(np.arange(TRAIN), FRAMES),
        tuple(train_scenarios),
    )
    rows = episode * FRAMES + scored.last_frame
    baselines = vision_free_baselines(frames_of_training, test.reshape(-1, 2), rows, scored)
    return scored, baselines, rng


def judged(
    scored: ScoredWindows,
    prediction: np.ndarray,
    others: dict[str, np.ndarray],
    blind: np.ndarray,
    scored_on: str = "test",
) -> Verdict:
    controls = {"no_image": blind.astype(np.float32)}
    predictions = Predictions(prediction.astype(np.float32), others, controls, {}, {})
    run = scored_run(scored_on=scored_on)
    return score(run, scored, predictions, RULES, NO_FILE).verdict


def near(truth: np.ndarray, rng: np.random.Generator, by: float) -> np.ndarray:
    return truth + rng.normal(0, by, truth.shape)


def test_an_honest_policy_passes(world) -> None:
    scored, others, rng = world
    found = judged(scored, near(scored.truth, rng, 0.02), others, others["train_mean"])
    assert found.outcome == "beats"
    assert found.image == "used"


def test_a_policy_that_ignores_the_image_is_caught_even_where_its_error_is_low(world) -> None:
    scored, others, rng = world
    prediction = near(scored.truth, rng, 0.02)  # as if by luck, or by what the prompt gives away
    found = judged(scored, prediction, others, prediction)
    assert found.outcome == "ignores_image"
    assert found.image == "ignored"


def test_a_policy_that_replays_by_frame_number_is_caught(world) -> None:
    scored, others, rng = world
    mae = np.abs(others["replay"] - scored.truth).mean()
    assert mae < 0.7 * np.abs(others["train_mean"] - scored.truth).mean()  # it looks learnt
    exact = judged(scored, others["replay"], others, others["train_mean"])
    assert exact.outcome == "does_not_beat" and exact.against == "replay"
    noisy = judged(scored, near(others["replay"], rng, 0.02), others, others["train_mean"])
    assert noisy.outcome in ("does_not_beat", "inconclusive")


def test_a_checkpoint_selected_on_the_scored_episodes_gets_no_verdict(world) -> None:
    scored, others, rng = world
    prediction = near(scored.truth, rng, 0.01)
    found = judged(scored, prediction, others, others["train_mean"], scored_on="val")
    assert found.outcome == "no_verdict"


def test_a_policy_trained_on_test_episodes_is_refused(tmp_path: Path) -> None:
    inputs, settings = Inputs.make(tmp_path), settings_of(epochs=1)
    run(inputs, tmp_path / "run", settings)
    own = EvaluateSettings(
        experiment="lora",
        run="seed0",
        seed=0,
        windows=settings.windows,
        policy=settings.policy,
        precision="fp32",
        threads=1,
        huber_delta=1.0,
        evaluation=Evaluation(),
        uncertainty=Uncertainty(draws=1000),
    )
    files = inputs.of_policy(tmp_path / "run/policy/policy.json")
    outputs = EvaluationFiles(tmp_path / "evaluation.json", tmp_path / "predictions.npz")
    evaluate(own, files, outputs, threads=1)  # as it was trained: nothing to refuse
    result = EvaluationResult.read(outputs.evaluation)
    assert {"untrained", "nearest_neighbours", "ridge", "replay"} < set(result.baselines)
    assert set(result.controls) == {"no_image"}
    said = {name: str(why) for name, why in result.absent.items()}
    assert said == {"shuffled_prompt": "all scored episodes have the same prompt"}

    # An episode that trained the policy is moved to test, in the split file.
    content = read_json(inputs.split)
    roles = content["folds"][0]["roles"]
    moved = roles["train"].pop()
    roles["test"].append(moved)
    rewrite(inputs.split, content)
    with pytest.raises(UserError, match="may have seen the scored"):
        evaluate(own, files, outputs, threads=1)

    # It is listed in both: the split itself is refused.
    roles["train"].append(moved)
    rewrite(inputs.split, content)
    with pytest.raises(Problems, match=f"{moved} is in train and in test"):
        evaluate(own, files, outputs, threads=1)

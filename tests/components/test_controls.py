"""Predictions of windows: from frames and features, under other prompts, without images."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from mobile_vla.config.features import AFTER_PROMPT, FeatureKey
from mobile_vla.config.model import FullFinetune, Lora
from mobile_vla.evaluation.predictors import from_frames, shuffled_prompts, without_images
from mobile_vla.runs.data import RunData, open_run
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.predict import predict, predict_batches, predict_under_prompts
from support.training_run import Inputs, settings_of


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(params=["image_embeds", "hidden_states", "readout", "pixels"])
def made(request, inputs, tmp_path) -> tuple[RunData, object]:
    """Return a run's data at a cut, and its policy before training."""
    settings = settings_of().policy
    features = inputs.features
    if request.param == "hidden_states":
        settings = settings.model_copy(update={"lora": Lora(r=2, layers=1)})
    elif request.param != "image_embeds":
        settings = settings.model_copy(update={"finetune": "none", "lora": None})
    if request.param == "pixels":
        settings = settings.model_copy(update={"finetune": "full", "full": FullFinetune()})
        features = []
    assert settings.cut == request.param
    if settings.cut in AFTER_PROMPT:
        features = [tmp_path / "features.json"]
        layers = settings.adapted_layers
        key = FeatureKey(cut=settings.cut, precision="fp32", prompt=settings.prompt, layers=layers)
        inputs.store(key, *features)
    run = settings_of().model_copy(update={"policy": settings})
    data = open_run(run, inputs.of_run(features=features), "fp32")
    return data, build_policy(settings, 3, data, cut="pixels").eval()


def test_from_the_frames_it_predicts_what_it_predicts_from_features(made) -> None:
    data, policy = made
    samples = data.samples["train"]
    stored = predict(policy, samples, 4, "fp32", "")
    assert stored.shape == (len(samples), 3, 2)
    live = predict(policy, from_frames(samples), 5, "fp32", "", "pixels")
    assert live == pytest.approx(stored, abs=1e-5)


def test_under_the_prompts_of_training_it_predicts_what_it_predicts_alone(made) -> None:
    data, policy = made
    samples = from_frames(data.samples["train"])
    right = samples.prompt_of_row.numpy()
    found = predict_under_prompts(policy, samples, {"right": right, "other": 1 - right}, 4, "fp32")
    assert (found["right"] == predict(policy, samples, 4, "fp32", "", "pixels")).all()
    assert np.abs(found["other"] - found["right"]).max() > 1e-4


def test_between_batches_neither_gradients_nor_the_number_format_are_switched(made) -> None:
    data, policy = made
    samples = from_frames(data.samples["train"])

    def forward(_: np.ndarray, batch) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        return policy(batch.features, batch.prompts, batch.windows, "pixels")

    ends = []
    for indices, batch, outputs in predict_batches(
        policy, samples.in_order(5, first=1, every=2), "fp32", forward
    ):
        assert not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")
        assert outputs.dtype == torch.float32 and len(outputs) == len(batch.windows)
        ends += [indices[0], indices[-1]]
    assert ends[:4] == [5, 9, 15, 19]


def test_every_episode_gets_a_prompt_that_is_not_its_own(made) -> None:
    data, policy = made
    samples = data.samples["train"]
    other = shuffled_prompts(samples, 0)
    assert other is not None
    rows = torch.from_numpy(samples.table.frames)
    assert (other.prompt_of_row[rows] != samples.prompt_of_row[rows]).all()
    per_window = other.prompt_of_row[rows]
    assert (per_window == per_window[:, :1]).all()  # constant within an episode
    again = shuffled_prompts(samples, 0)
    assert again is not None and torch.equal(again.prompt_of_row, other.prompt_of_row)
    # Seen at the frames, the prompt counts at every cut.
    frames = predict(policy, from_frames(other), 4, "fp32", "", "pixels")
    assert np.abs(frames - predict(policy, samples, 4, "fp32", "")).max() > 1e-4


def test_one_prompt_for_all_cannot_be_shuffled(made) -> None:
    samples = copy.copy(made[0].samples["train"])
    samples.prompt_of_row = torch.zeros_like(samples.prompt_of_row)
    assert shuffled_prompts(samples, 0) is None


def test_without_images_a_prediction_depends_on_the_prompt_alone(made) -> None:
    data, policy = made
    samples = data.samples["train"]
    rows = np.unique(samples.table.frames)
    learnt, cut = samples, policy.settings.cut
    if cut == "hidden_states":
        learnt, cut = from_frames(samples), "pixels"
    found = without_images(policy, samples, learnt, rows, "fp32", cut)
    assert found.shape == (len(samples), 3, 2)
    prompt = samples.prompt_of_row[torch.from_numpy(samples.table.frames[:, -1])].numpy()
    for one in np.unique(prompt):
        assert (found[prompt == one] == found[prompt == one][0]).all()

    class Mean:
        """The mean of all training features at every row, each prompt's own at the readout."""

        def __getitem__(self, wanted: np.ndarray) -> torch.Tensor:
            own = samples.prompt_of_row.numpy()
            means = []
            for row in wanted:
                alike = own[rows] == own[row] if cut == "readout" else slice(None)
                features = learnt.rows[rows[alike]]
                mean = features.double().mean(dim=0)
                means.append(
                    (mean.round() if features.dtype == torch.uint8 else mean).to(features.dtype)
                )
            return torch.stack(means)

    blind = copy.copy(samples)
    blind.rows = Mean()
    assert predict(policy, blind, 4, "fp32", "", cut) == pytest.approx(found, abs=1e-5)

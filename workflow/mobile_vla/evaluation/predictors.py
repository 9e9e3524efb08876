"""Predictions of the scored windows by the policy, its baselines, and itself under controls."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.config.features import AFTER_PROMPT, Cut
from mobile_vla.data.frames import open_frames
from mobile_vla.evaluation.baselines import TrainingFrames, vision_free_baselines
from mobile_vla.evaluation.feature_baselines import nearest_neighbours, ridge, vectors_of
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.features.store import FrameRows
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.runs.data import RunData
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.predict import inference, predict
from mobile_vla.runs.samples import Samples
from mobile_vla.sentence import Sentence, say


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of the same windows, each (N, C, A) float32 in command units."""

    policy: np.ndarray
    baselines: dict[str, np.ndarray]  # by name; the policy has to beat them
    controls: dict[str, np.ndarray]  # by name; they show which inputs the policy uses
    absent: dict[
        str, Sentence
    ]  # baselines and controls that could not be predicted, with the reason
    fitted: dict[str, dict[str, int | float]]  # by baseline, what the validation windows chose

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the predictions by their names in ``predictions.npz``."""
        return {
            "prediction": self.policy,
            **{f"baseline_{name}": values for name, values in self.baselines.items()},
            **{f"control_{name}": values for name, values in self.controls.items()},
        }


def predict_untrained(settings: EvaluateSettings, data: RunData, samples: Samples) -> np.ndarray:
    """Predict with the policy as it was before its first step, (N, C, A).

    Apart from :func:`predict_all`, so that there is only one policy in memory at a time.
    """
    policy = build_policy(settings.policy, settings.seed, data).eval().to(default_device())
    label, size = f"{settings.title}, untrained", settings.evaluation.batch_size
    return predict(policy, samples, size, data.precision, label)


def predict_all(
    settings: EvaluateSettings,
    policy: Policy,
    data: RunData,
    samples: Samples,
    windows: ScoredWindows,
    untrained: np.ndarray,
) -> Predictions:
    """Predict the scored windows with the policy, every baseline and every control.

    Baselines are fitted on the training episodes alone. ``samples`` and ``windows`` are the same
    windows, of this dataset or another; ``untrained`` is what :func:`predict_untrained` predicts.
    """
    size, precision = settings.evaluation.batch_size, data.precision
    predicted = predict(policy, samples, size, precision, settings.title)
    dataset, train = data.dataset, data.roles.of["train"]
    frames = TrainingFrames.of(dataset, data.samples["val"].commands, train)
    last_rows = samples.table.frames[:, -1]
    baselines = vision_free_baselines(frames, samples.commands, last_rows, windows)
    predictions = Predictions(predicted, baselines, {}, {}, {})
    _predict_from_features(settings, data, samples, predictions)
    baselines["untrained"] = untrained
    shuffled = shuffled_prompts(samples, settings.seed)
    if shuffled is None:
        predictions.absent["shuffled_prompt"] = say("all scored episodes have the same prompt")
    else:
        live = settings.policy.cut in AFTER_PROMPT  # such features depend on the prompt
        predictions.controls["shuffled_prompt"] = predict(
            policy,
            from_frames(shuffled) if live else shuffled,
            size,
            precision,
            f"{settings.title}, other prompts",
            "pixels" if live else None,
        )
    rows = np.concatenate([dataset.offsets[i] + np.arange(dataset.lengths[i]) for i in train])
    learnt, cut = data.samples["val"], settings.policy.cut
    if cut == "hidden_states":  # as long as their prompt: the mean image has to be read anew
        learnt, cut = from_frames(learnt), "pixels"
    predictions.controls["no_image"] = without_images(policy, samples, learnt, rows, precision, cut)
    return predictions


def _predict_from_features(
    settings: EvaluateSettings, data: RunData, samples: Samples, predictions: Predictions
) -> None:
    """Add the baselines that are fitted on stored features, or the reason why there are none."""
    if settings.policy.cut == "pixels":
        reason = say("the vision tower is trained, so that no features are stored")
        predictions.absent.update(nearest_neighbours=reason, ridge=reason)
        return
    train, val, scored = (
        vectors_of(each.dataset, each.table, each.rows, each.commands)
        for each in (data.samples["train"], data.samples["val"], samples)
    )
    evaluation = settings.evaluation
    near, k = nearest_neighbours(train, val, scored, evaluation.neighbours)
    linear, penalty = ridge(train, val, scored, evaluation.ridge)
    predictions.baselines.update(nearest_neighbours=near, ridge=linear)
    predictions.fitted.update(nearest_neighbours={"k": k}, ridge={"penalty": penalty})


SEEN = 1000  # training frames that the image's stand-in is the mean of, at most


def shuffled_prompts(samples: Samples, seed: int) -> Samples | None:
    """Return the same windows, each episode under the prompt of another that has another one.

    None where all episodes have the same prompt. The seed decides which other episode it is.
    """
    owners, first = np.unique(samples.table.episode, return_index=True)
    prompts = samples.prompt_of_row[torch.from_numpy(samples.table.frames[first, 0])].numpy()
    if len(np.unique(prompts)) < 2:
        return None
    rng = np.random.default_rng(seed)
    shuffled = samples.prompt_of_row.clone()
    dataset = samples.dataset
    for owner, prompt in zip(owners.tolist(), prompts.tolist(), strict=True):
        start = int(dataset.offsets[owner])
        shuffled[start : start + int(dataset.lengths[owner])] = int(
            rng.choice(prompts[prompts != prompt])
        )
    other = copy.copy(samples)
    other.prompt_of_row = shuffled
    return other


def from_frames(samples: Samples) -> Samples:
    """Return the same windows, with the frames themselves in place of stored features."""
    other = copy.copy(samples)
    other.rows = FrameRows(open_frames(samples.dataset), "plain")
    return other


def without_images(
    policy: Policy,
    samples: Samples,
    learnt: Samples,
    train_rows: np.ndarray,
    precision: str,
    cut: Cut,
) -> np.ndarray:
    """Predict every window with the mean training image in place of each of its own.

    At the cut ``readout`` the features hold the prompt too, so there is a mean for each prompt.
    All windows of a prompt then look alike, and are predicted once.

    Args:
        learnt: the training windows, whose features the mean is of.
        train_rows: (R,) rows of the training frames.
        cut: where the features of ``learnt`` were taken.
    """
    prompt_of_window = samples.prompt_of_row[torch.from_numpy(samples.table.frames[:, -1])]
    prompts, place = torch.unique(prompt_of_window, return_inverse=True)
    blank = torch.stack(_means(learnt, train_rows, prompts.tolist(), cut))
    windows = torch.arange(len(prompts))[:, None].expand(-1, samples.table.frames.shape[1])
    with inference(precision, policy.device):
        inputs = (tensor.to(policy.device) for tensor in (blank, prompts, windows))
        normalised = policy(*inputs, cut).float()
        predicted: np.ndarray = policy.denormalise(normalised).cpu().numpy()  # (P, C, A)
    return predicted[place.numpy()]


def _means(learnt: Samples, rows: np.ndarray, prompts: Sequence[int], cut: Cut) -> list[Tensor]:
    """Return the mean feature for each prompt, in the features' own number format."""
    if cut != "readout":
        return [_mean(learnt, rows)] * len(prompts)
    own = learnt.prompt_of_row[torch.from_numpy(rows)].numpy()
    return [
        _mean(learnt, rows[own == prompt] if (own == prompt).any() else rows) for prompt in prompts
    ]


def _mean(learnt: Samples, rows: np.ndarray) -> Tensor:
    """Return the mean feature of rows, of evenly spaced ones if there are many."""
    rows = rows[np.linspace(0, len(rows) - 1, min(SEEN, len(rows))).round().astype(np.int64)]
    features = learnt.rows[rows[:64]]
    total = features.double().sum(dim=0)
    for start in range(64, len(rows), 64):
        total += learnt.rows[rows[start : start + 64]].double().sum(dim=0)
    mean = total / len(rows)
    return (mean.round() if features.dtype == torch.uint8 else mean).to(features.dtype)

"""Predictions of the scored windows by the policy, its baselines, and itself under controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.result import Role
from mobile_vla.data.windows import WindowTable
from mobile_vla.evaluation.baselines import TrainingFrames, vision_free_baselines
from mobile_vla.evaluation.controls import (
    from_frames,
    shuffled_prompts,
    without_images,
)
from mobile_vla.evaluation.nearest import nearest_neighbours
from mobile_vla.evaluation.ridge import ridge
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.window_vectors import WindowVectors, vectors_of
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.runs.data import RunData
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.predict import predict
from mobile_vla.runs.samples import Samples

ON_FEATURES = ("nearest_neighbours", "ridge")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of the same windows, each (N, C, A) float32 in raw command units.

    Args:
        policy: the policy's.
        baselines: by name; the policy has to beat them.
        controls: by name, the policy's under others' prompts, and without its images. They show
            which inputs it uses, and are not to be beaten.
        absent: baselines and controls that could not be predicted, with the reason.
        fitted: by baseline, what was chosen on the validation windows.
    """

    policy: np.ndarray
    baselines: dict[str, np.ndarray]
    controls: dict[str, np.ndarray]
    absent: dict[str, str]
    fitted: dict[str, dict[str, int | float]]

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

    Args:
        settings: the run.
        policy: its policy.
        data: what it was trained on; baselines are fitted on the training episodes alone.
        samples: the scored windows, of this dataset or another.
        windows: the same windows.
        untrained: what :func:`predict_untrained` predicts.
    """
    size, precision = settings.evaluation.batch_size, data.precision
    predicted = predict(policy, samples, size, precision, settings.title)
    train = data.roles.of["train"]
    frames = TrainingFrames.of(data.dataset, data.samples["val"].raw_actions, train)
    last_rows = samples.table.frames[:, -1]
    baselines = vision_free_baselines(frames, samples.raw_actions, last_rows, windows)
    predictions = Predictions(predicted, baselines, {}, {}, {})
    _predict_from_features(settings, data, samples, predictions)
    baselines["untrained"] = untrained
    shuffled = shuffled_prompts(samples, settings.seed)
    if shuffled is None:
        predictions.absent["shuffled_prompt"] = "all scored episodes have the same prompt"
    else:
        live = settings.policy.cut == "readout"  # stored readouts depend on the prompt
        predictions.controls["shuffled_prompt"] = predict(
            policy,
            from_frames(shuffled) if live else shuffled,
            size,
            precision,
            f"{settings.title}, other prompts",
            "pixels" if live else None,
        )
    rows = np.concatenate(
        [data.dataset.offsets[i] + np.arange(data.dataset.lengths[i]) for i in train]
    )
    predictions.controls["no_image"] = without_images(
        policy, samples, data.samples["val"], rows, precision
    )
    return predictions


def _predict_from_features(
    settings: EvaluateSettings, data: RunData, samples: Samples, predictions: Predictions
) -> None:
    """Add the baselines that are fitted on stored features, or the reason why there are none."""
    if settings.policy.cut == "pixels":
        for name in ON_FEATURES:
            reason = "the vision tower is trained, so that no features are stored"
            predictions.absent[name] = reason
        return
    train, val = (_vectors(data.samples[role], _plain(data, role)) for role in ("train", "val"))
    scored = _vectors(samples, samples.table)
    evaluation = settings.evaluation
    near, k = nearest_neighbours(train, val, scored, evaluation.neighbours)
    linear, penalty = ridge(train, val, scored, evaluation.ridge)
    predictions.baselines.update(nearest_neighbours=near, ridge=linear)
    predictions.fitted.update(nearest_neighbours={"k": k}, ridge={"penalty": penalty})


def _plain(data: RunData, role: Role) -> WindowTable:
    """Return a role's windows; evaluation opens no mirror images of stored features."""
    table = data.samples[role].table
    assert not table.mirrored.any()
    return table


def _vectors(samples: Samples, table: WindowTable) -> WindowVectors:
    return vectors_of(samples.dataset, table, samples.rows, samples.raw_actions)

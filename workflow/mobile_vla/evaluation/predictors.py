"""What a policy is compared with, on the same windows: the baselines, and itself under controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.roles import Role
from mobile_vla.data.windows import WindowTable
from mobile_vla.evaluation.baselines import Learnt, baselines
from mobile_vla.evaluation.controls import from_frames, shuffled_prompts, without_images
from mobile_vla.evaluation.nearest import nearest_neighbours
from mobile_vla.evaluation.ridge import ridge
from mobile_vla.evaluation.steps import Scored
from mobile_vla.evaluation.window_vectors import Pictures, pictures_of
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.runs.data import RunData
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.predict import predict
from mobile_vla.runs.samples import Samples

ON_FEATURES = ("nearest_neighbours", "ridge")


@dataclass(frozen=True, eq=False)
class Competitors:
    """Predictions of the same windows, each (N, C, A) float32 in raw command units.

    Args:
        baselines: what the policy has to beat.
        controls: the policy itself under others' prompts, and without its images. They say what
            it uses; they are nothing to beat.
        absent: what could not be predicted, with the reason.
        fitted: what was chosen on the validation windows.
    """

    baselines: dict[str, np.ndarray]
    controls: dict[str, np.ndarray]
    absent: dict[str, str]
    fitted: dict[str, dict[str, Any]]


def untrained_policy(settings: EvaluateSettings, data: RunData, samples: Samples) -> np.ndarray:
    """Predict with the policy as it was before its first step, (N, C, A).

    Apart from :func:`competitors`, so that there is one policy in memory at a time.
    """
    policy = build_policy(settings.policy, settings.seed, data).eval().to(default_device())
    label, size = f"{settings.experiment} {settings.run}", settings.evaluation.batch_size
    return predict(policy, samples, size, data.precision, f"{label}, untrained")


def competitors(
    settings: EvaluateSettings,
    policy: Policy,
    data: RunData,
    samples: Samples,
    scored: Scored,
    untrained: np.ndarray,
) -> Competitors:
    """Predict the scored windows with every baseline and control.

    Args:
        settings: the run.
        policy: its policy.
        data: what it was trained on; what is fitted sees the training episodes alone.
        samples: the scored windows, of this dataset or another one.
        scored: the same windows.
        untrained: what :func:`untrained_policy` predicts.
    """
    train = data.roles.of["train"]
    actions = data.samples["val"].raw_actions
    learnt = Learnt.of(data.dataset, actions, train)
    found = Competitors(
        baselines(learnt, samples.raw_actions, samples.table.frames[:, -1], scored), {}, {}, {}
    )
    _on_features(settings, data, samples, found)
    found.baselines["untrained"] = untrained
    shuffled = shuffled_prompts(samples, settings.seed)
    if shuffled is None:
        found.absent["shuffled_prompt"] = "all scored episodes have the same prompt"
    else:
        live = settings.policy.cut == "readout"  # what is stored there has seen the prompt
        found.controls["shuffled_prompt"] = predict(
            policy,
            from_frames(shuffled) if live else shuffled,
            settings.evaluation.batch_size,
            data.precision,
            f"{settings.experiment} {settings.run}, other prompts",
            "pixels" if live else None,
        )
    rows = np.concatenate(
        [data.dataset.offsets[i] + np.arange(data.dataset.lengths[i]) for i in train]
    )
    found.controls["no_image"] = without_images(
        policy, samples, data.samples["val"], rows, data.precision
    )
    return found


def _on_features(
    settings: EvaluateSettings, data: RunData, samples: Samples, found: Competitors
) -> None:
    """Add what is fitted on stored features, or the reason why it is not."""
    if settings.policy.cut == "pixels":
        for name in ON_FEATURES:
            found.absent[name] = "the vision tower is trained, so that no features are stored"
        return
    train, val = (_pictures(data.samples[role], _plain(data, role)) for role in ("train", "val"))
    scored = _pictures(samples, samples.table)
    evaluation = settings.evaluation
    near, k = nearest_neighbours(train, val, scored, evaluation.neighbours)
    linear, penalty = ridge(train, val, scored, evaluation.ridge)
    found.baselines.update(nearest_neighbours=near, ridge=linear)
    found.fitted.update(nearest_neighbours={"k": k}, ridge={"penalty": penalty})


def _plain(data: RunData, role: Role) -> WindowTable:
    """Return a role's windows; evaluation opens no mirror images of stored features."""
    table = data.samples[role].table
    assert not table.mirrored.any()
    return table


def _pictures(samples: Samples, table: WindowTable) -> Pictures:
    return pictures_of(samples.dataset, table, samples.rows, samples.raw_actions)

"""A policy on the windows of some episodes: predictions, scores and the files that hold them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.roles import Role, Roles
from mobile_vla.evaluation.predictors import Competitors, competitors, untrained_policy
from mobile_vla.evaluation.score import Rules, score
from mobile_vla.evaluation.steps import Scored
from mobile_vla.files import atomic_path, describe, read_json, sha256_of, write_json
from mobile_vla.layout import EvaluationFiles
from mobile_vla.runs.data import RunData
from mobile_vla.runs.policy import check_origin, load_policy
from mobile_vla.runs.predict import predict
from mobile_vla.runs.samples import Samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredData:
    """The windows that a policy is scored on, and where they come from."""

    samples: Samples
    roles: Roles
    """The fold that they are taken from."""
    role: Role
    """The role that they have in it."""
    split: Path
    """The ``split.json`` of their dataset."""


def write_scores(
    settings: EvaluateSettings,
    policy: Path,
    data: RunData,
    on: ScoredData,
    outputs: EvaluationFiles,
) -> None:
    """Predict the windows of the scored episodes, and compare with truth and baselines.

    Frames and features are read a batch at a time. What grows with the number of episodes are the
    predictions, some 10 kB an episode for all predictors together.

    Args:
        settings: the run.
        policy: its ``policy.json``.
        data: what it was trained on.
        on: what it is scored on.
        outputs: the files to write.

    Raises:
        UserError: the policy is not the one of this run's settings, data or backbone.
    """
    samples, roles = on.samples, on.roles
    check_origin(policy, data.identity, data.precision)
    dataset, actions = samples.dataset, settings.policy.actions
    untrained = untrained_policy(settings, data, samples)
    trained = load_policy(policy, settings.policy, data)
    label, size = settings.title, settings.evaluation.batch_size
    predicted = predict(trained, samples, size, data.precision, label)  # (N, C, A)
    scored = Scored.of(
        dataset, samples.table, samples.raw_actions, settings.windows.target, actions.dimensions
    )
    others = competitors(settings, trained, data, samples, scored, untrained)
    result = score(
        {
            "experiment": settings.experiment,
            "run": settings.run,
            "seed": settings.seed,
            "dataset": dataset.name,
            "backbone": data.backbone.name,
            "manifest": dataset.digest,
            "split": sha256_of(on.split),
            "fold": roles.fold,
            "folds": roles.folds,
            "held_out": roles.held_out,
            "trained_on": data.identity,
            "scored_on": "test" if on.role == "test" else "val",
        },
        scored,
        predicted,
        others,
        Rules(
            evaluation=settings.evaluation,
            uncertainty=settings.uncertainty,
            scale=actions.scale,
            fixed=tuple(data.fixed),
            huber_delta=settings.huber_delta,
            cell=tuple(read_json(on.split)["settings"]["stratify_by"]),
        ),
    )
    with atomic_path(outputs.predictions) as temporary:
        np.savez(temporary, **arrays(scored, predicted, others))
    write_json(outputs.evaluation, {**result, "predictions_file": describe(outputs.predictions)})
    log.info("%s on %s: %s", label, dataset.name, result["verdict"]["text"])


def arrays(scored: Scored, predicted: np.ndarray, others: Competitors) -> dict[str, Any]:
    """Return the content of ``predictions.npz``.

    Args:
        scored: the N scored windows.
        predicted: (N, C, A) the policy's.
        others: those of baselines and controls.
    """
    return {
        "episode": np.array(scored.episodes)[scored.episode],
        "last_frame": scored.last_frame,
        "ahead": scored.ahead,
        "frame": scored.last_frame[:, None] + scored.ahead,
        "mask": scored.mask,
        "truth": scored.truth,
        "prediction": predicted,
        **{f"baseline_{name}": values for name, values in others.baselines.items()},
        **{f"control_{name}": values for name, values in others.controls.items()},
    }

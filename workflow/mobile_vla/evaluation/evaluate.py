"""Score one run's best policy on the episodes that neither trained nor selected it."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.roles import Role
from mobile_vla.evaluation.scoring import write_scores
from mobile_vla.machine import use_threads
from mobile_vla.training.run import load_data


def evaluate(
    settings: EvaluateSettings,
    *,
    policy: Path,
    manifest: Path,
    actions: Path,
    split: Path,
    backbone: Path,
    features: Path | None = None,
    threads: int,
    evaluation: Path,
    predictions: Path,
) -> None:
    """Predict every window of the scored episodes, and compare with truth and baselines.

    Args:
        settings: the run.
        policy: its ``policy.json``.
        manifest: the dataset's ``manifest.json``.
        actions: the dataset's ``actions.npy``.
        split: the dataset's ``split.json``.
        backbone: the ``backbone.json``.
        features: the JSON of the features that the policy reads; none at the cut
            ``pixels``, where it reads the frames.
        threads: cores that the job was given.
        evaluation: ``evaluation.json``.
        predictions: ``predictions.npz``.

    Raises:
        UserError: the policy is not the one of this run's settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    data = load_data(
        settings.policy,
        settings.windows,
        settings.precision,
        fold=settings.fold,
        subset=settings.subset,
        manifest=manifest,
        actions=actions,
        split=split,
        backbone=backbone,
        features=features,
    )
    role: Role = "test" if data.roles.of["test"] else "val"
    write_scores(
        settings,
        policy,
        data,
        data.samples[role],
        roles=data.roles,
        role=role,
        split=split,
        evaluation=evaluation,
        predictions=predictions,
    )

"""A policy on the windows of some episodes: predictions, scores and the files that hold them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.actions import columns_of
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import Role, Roles
from mobile_vla.errors import UserError
from mobile_vla.evaluation.baselines import baselines
from mobile_vla.evaluation.score import score
from mobile_vla.files import atomic_path, describe, read_json, sha256_of, write_json
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from mobile_vla.progress import Progress
from mobile_vla.training.batches import Samples

log = logging.getLogger(__name__)


def open_policy(
    path: Path,
    settings: EvaluateSettings,
    identity: Mapping[str, Any],
    precision: str,
    backbone: Checkpoint,
) -> Policy:
    """Open a run's policy, and refuse one of other data, precision or settings.

    Args:
        path: its ``policy.json``.
        settings: the run.
        identity: the data that it must have been trained on.
        precision: the number format that it must have been trained in.
        backbone: the backbone that it must have been trained on.

    Raises:
        UserError: the policy is another one, which may have seen what is scored.
    """
    described = read_json(path)
    if described["data"] != identity:
        raise UserError(
            f"{path} (data): trained on another manifest, split, fold or subset of "
            f"{described['data']['dataset']!r} than is scored, so it may have seen the scored "
            "episodes; run snakemake again, it trains the policy anew"
        )
    if described["precision"] != precision:
        raise UserError(
            f"{path} (precision): trained in {described['precision']}, and this machine would "
            f"score it in {precision}; say `training.precision: {described['precision']}` in "
            "config.yaml instead of auto"
        )
    policy = Policy.from_pretrained(path.parent, backbone, precision)
    if policy.settings != settings.policy:
        raise UserError(
            f"{path} (settings): not those of {settings.experiment!r} in config.yaml; "
            "run snakemake again, it trains the policy anew"
        )
    return policy


def actions_of(dataset: Dataset, episodes: Sequence[int], dimensions: Sequence[str]) -> np.ndarray:
    """Return the actions of all frames of some episodes, (R, A) in raw command units."""
    rows = [np.arange(dataset.lengths[i]) + dataset.offsets[i] for i in episodes]
    return dataset.actions[np.concatenate(rows)][:, columns_of(dimensions)]


def write_scores(
    settings: EvaluateSettings,
    policy: Policy,
    samples: Samples,
    *,
    roles: Roles,
    role: Role,
    split: Path,
    trained_on: Mapping[str, Any],
    train_actions: np.ndarray,
    backbone: str,
    precision: str,
    evaluation: Path,
    predictions: Path,
) -> None:
    """Predict the windows of the scored episodes, and compare with truth and baselines.

    Args:
        settings: the run.
        policy: its policy.
        samples: the scored windows.
        roles: the fold that they are taken from.
        role: the role that they have in it.
        split: the split of the scored dataset.
        trained_on: what the policy was trained on.
        train_actions: actions of its training episodes, (R, A), for the baselines.
        backbone: name of the backbone.
        precision: resolved number format of the forward pass.
        evaluation: ``evaluation.json`` to write.
        predictions: ``predictions.npz`` to write.
    """
    predicted = predict(policy, samples, settings, precision)  # (N, C, A)
    table, dataset = samples.table, samples.dataset
    truth = samples.raw_actions[table.targets]  # (N, C, A)
    others = baselines(samples.raw_actions, table, train_actions, settings.windows.target)
    names = np.array([episode.name for episode in dataset.episodes])
    result = score(
        experiment=settings.experiment,
        run=settings.run,
        dataset=dataset.name,
        backbone=backbone,
        manifest=dataset.digest,
        split=sha256_of(split),
        fold=roles.fold,
        folds=roles.folds,
        held_out=roles.held_out,
        trained_on=trained_on,
        scored_on="test" if role == "test" else "val",
        dimensions=settings.policy.actions.dimensions,
        episodes=names[table.episode],
        prediction=predicted,
        truth=truth,
        mask=table.mask,
        baselines=others,
    )
    arrays: dict[str, Any] = {
        "episode": names[table.episode],
        "last_frame": table.last_frame,
        "prediction": predicted,
        "truth": truth,
        "mask": table.mask,
        **{f"baseline_{name}": values for name, values in others.items()},
    }
    with atomic_path(predictions) as temporary:
        np.savez(temporary, **arrays)
    write_json(evaluation, {**result, "predictions_file": describe(predictions)})
    log.info(
        "%s %s: MAE %.4f on %d windows of %d %s episodes of %s; best baseline %s %.4f",
        settings.experiment,
        settings.run,
        result["policy"]["mae"]["overall"],
        result["windows"],
        result["episodes"],
        role,
        dataset.name,
        result["best_baseline"]["name"],
        result["best_baseline"]["mae"],
    )


def predict(
    policy: Policy, samples: Samples, settings: EvaluateSettings, precision: str
) -> np.ndarray:
    """Predict the chunk of every window, (N, C, A) float32 in raw command units."""
    device = default_device()
    policy.to(device)
    progress = Progress(f"{settings.experiment} {settings.run}", len(samples), "windows")
    chunks = []
    with torch.inference_mode(), autocast(precision, device):
        for indices, batch in samples.in_order(settings.evaluation.batch_size):
            batch = batch.to(device)
            normalised = policy(batch.features, batch.prompts, batch.windows).float()
            chunks.append(policy.denormalise(normalised).cpu().numpy())
            progress.update(len(indices))
    progress.close()
    return np.concatenate(chunks)

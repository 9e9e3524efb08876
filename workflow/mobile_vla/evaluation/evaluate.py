"""Score one run's best policy on the episodes that neither trained nor selected it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.errors import UserError
from mobile_vla.evaluation.baselines import baselines
from mobile_vla.evaluation.score import score
from mobile_vla.files import atomic_path, describe, read_json, write_json
from mobile_vla.machine import default_device, use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from mobile_vla.progress import Progress
from mobile_vla.training.batches import Samples
from mobile_vla.training.run import load_data

log = logging.getLogger(__name__)


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
        manifest=manifest,
        actions=actions,
        split=split,
        backbone=backbone,
        features=features,
    )
    _check_origin(policy, data.identity, data.precision)
    loaded = Policy.from_pretrained(policy.parent, data.backbone, data.precision)
    if loaded.settings != settings.policy:
        raise UserError(
            f"{policy} (settings): not those of {settings.experiment!r} in config.yaml; "
            "run snakemake again, it trains the policy anew"
        )
    role: Literal["test", "val"] = "test" if data.roles["test"] else "val"
    samples = data.samples[role]
    predicted = predict(loaded, samples, settings, data.precision)  # (N, C, A)
    table = samples.table
    truth = samples.raw_actions[table.targets]  # (N, C, A)
    train_rows = np.concatenate(
        [np.arange(data.dataset.lengths[i]) + data.dataset.offsets[i] for i in data.roles["train"]]
    )
    others = baselines(samples.raw_actions, table, train_rows, settings.windows.target)
    names = np.array([episode.name for episode in data.dataset.episodes])
    result = score(
        experiment=settings.experiment,
        run=settings.run,
        dataset=data.dataset.name,
        backbone=data.backbone.name,
        manifest=data.identity["manifest"],
        split=data.identity["split"],
        scored_on=role,
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
        "%s %s: MAE %.4f on %d windows of %d %s episodes; best baseline %s %.4f",
        settings.experiment,
        settings.run,
        result["policy"]["mae"]["overall"],
        result["windows"],
        result["episodes"],
        role,
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


def _check_origin(policy: Path, identity: dict[str, str], precision: str) -> None:
    """Refuse a policy of another split, which may have seen what is scored, or precision.

    Raises:
        UserError: the policy's data are not those of ``identity``, or it was trained in another
            number format than ``precision``.
    """
    described = read_json(policy)
    if described["data"] != identity:
        raise UserError(
            f"{policy} (data): trained on another manifest or split of "
            f"{described['data']['dataset']!r} than is scored, so it may have seen the scored "
            "episodes; run snakemake again, it trains the policy anew"
        )
    if described["precision"] != precision:
        raise UserError(
            f"{policy} (precision): trained in {described['precision']}, and this machine would "
            f"score it in {precision}; say `training.precision: {described['precision']}` in "
            "config.yaml instead of auto"
        )

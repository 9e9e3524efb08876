"""Score a run on one of its mixture's datasets: a part of what the run was scored on."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.dataset import member_prefix
from mobile_vla.data.result import DatasetSplit, Manifest
from mobile_vla.errors import UserError
from mobile_vla.evaluation.evaluate import write_predictions
from mobile_vla.evaluation.predictors import Predictions
from mobile_vla.evaluation.result import EvaluationResult, ScoredRun
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.scores import ScoringRules, check_predictions, score
from mobile_vla.files import sha256_of
from mobile_vla.layout import OtherEvaluationFiles
from mobile_vla.result import FileDigest

log = logging.getLogger(__name__)


def score_member(
    settings: EvaluateSettings,
    outputs: OtherEvaluationFiles,
    *,
    whole: Path,
    whole_predictions: Path,
    manifest: Path,
    split: Path,
) -> None:
    """Score those of a run's predictions that are of episodes of one of its mixture's datasets.

    Nothing is predicted again, and baselines stay fitted on the training episodes of all datasets,
    as the policy is.

    Args:
        whole: ``evaluation.json`` of the run, on its mixture.
        whole_predictions: its ``predictions.npz``.
        manifest: of the dataset that is scored by itself.
        split: of that dataset.

    Raises:
        UserError: the predictions are not those that were scored, or none is of the dataset.
    """
    scored, content = EvaluationResult.read(whole), Manifest.read(manifest)
    scored.predictions_file.verify(whole_predictions)
    with np.load(whole_predictions, allow_pickle=False) as stored:
        arrays = dict(stored)
    prefix = member_prefix(content.dataset)
    own = np.flatnonzero(np.char.startswith(arrays["episode"], prefix))  # windows
    names = [name.removeprefix(prefix) for name in arrays["episode"][own].tolist()]
    listed = {episode.name: episode for episode in content.episodes}
    episodes = tuple(dict.fromkeys(names))
    unknown = [name for name in episodes if name not in listed]
    if unknown:
        raise UserError(
            f"{whole_predictions}: episode {unknown[0]} is not in {manifest}; run snakemake again, "
            "it scores anew"
        )
    place = {name: number for number, name in enumerate(episodes)}
    windows = ScoredWindows(
        episodes=episodes,
        groups=tuple(listed[name].group for name in episodes),
        scenarios=tuple(listed[name].scenario for name in episodes),
        episode=np.array([place[name] for name in names], dtype=np.int64),
        last_frame=arrays["last_frame"][own],
        ahead=arrays["ahead"],
        truth=arrays["truth"][own],
        mask=arrays["mask"][own],
        dimensions=settings.policy.actions.dimensions,
    )

    def predicted(*predictors: str) -> dict[str, np.ndarray]:
        return {name: arrays[scored.array_of(name)][own] for name in predictors}

    parts = Predictions(
        policy=arrays["prediction"][own],
        baselines=predicted(*scored.baselines),
        controls=predicted(*scored.controls),
        absent=scored.absent,
        fitted=scored.fitted,
    )
    described = {name: getattr(scored, name) for name in ScoredRun.model_fields}
    of_member = {
        "dataset": content.dataset,
        "manifest": content.digest,
        "split": sha256_of(split),
    }
    run = ScoredRun(**{**described, **of_member})
    check_predictions(run, windows, parts.policy)
    write_predictions(outputs.predictions, windows, parts)
    rules = ScoringRules(
        evaluation=settings.evaluation,
        uncertainty=settings.uncertainty,
        scale=scored.action_scale,
        fixed=tuple(name for name in scored.dimensions if name not in scored.loss.dimensions),
        huber_delta=settings.huber_delta,
        cell=DatasetSplit.read(split).settings.stratify_by,
        units=tuple(scored.recorded_units[name] for name in scored.dimensions),
    )
    result = score(run, windows, parts, rules, FileDigest.of(outputs.predictions))
    result.write(outputs.evaluation)
    log.info("%s on %s: %s", settings.title, run.dataset, result.verdict.summary())

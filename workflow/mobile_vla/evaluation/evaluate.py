"""Score a run's best policy on the episodes that neither trained nor selected it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.result import DatasetSplit, Role
from mobile_vla.data.roles import Roles
from mobile_vla.evaluation.predictors import Predictions, predict_all, predict_untrained
from mobile_vla.evaluation.result import ScoredRun
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.scores import ScoringRules, check_predictions, score
from mobile_vla.files import atomic_path, sha256_of
from mobile_vla.layout import EvaluationFiles
from mobile_vla.machine import use_threads
from mobile_vla.result import FileDigest
from mobile_vla.runs.data import PolicyInputs, RunData, open_run
from mobile_vla.runs.policy import check_origin, load_policy
from mobile_vla.runs.samples import Samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredData:
    """The windows that a policy is scored on, and where they come from."""

    samples: Samples
    roles: Roles  # the fold that they are taken from
    role: Role  # their role in it
    split: Path  # the `split.json` of their dataset


def evaluate(
    settings: EvaluateSettings, inputs: PolicyInputs, outputs: EvaluationFiles, *, threads: int
) -> None:
    """Predict every window of the scored episodes, and compare with truth and baselines.

    Raises:
        UserError: the policy is not that of this run's settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    data = open_run(settings, inputs, settings.precision)
    role = data.scored_on
    scored = ScoredData(data.samples[role], data.roles, role, inputs.split)
    score_policy(settings, inputs.policy, data, scored, outputs)


def score_policy(
    settings: EvaluateSettings,
    policy: Path,
    data: RunData,
    scored: ScoredData,
    outputs: EvaluationFiles,
) -> None:
    """Predict windows with a run's policy and all that it is compared with, and write the scores.

    Frames and features are read a batch at a time. What grows with the number of episodes are the
    predictions, some 10 kB an episode for all predictors together.

    Raises:
        UserError: the policy is not that of this run, or there is nothing to score.
    """
    check_origin(policy, data.trained_on, data.precision)
    samples, actions = scored.samples, settings.policy.actions
    untrained = predict_untrained(settings, data, samples)
    trained = load_policy(policy, settings.policy, data)
    windows = ScoredWindows.of(
        samples.dataset,
        samples.table,
        samples.commands,
        settings.windows.target,
        actions.dimensions,
    )
    predictions = predict_all(settings, trained, data, samples, windows, untrained)
    run = _scored_run(settings, data, scored)
    check_predictions(run, windows, predictions.policy)
    write_predictions(outputs.predictions, windows, predictions)
    rules = ScoringRules(
        evaluation=settings.evaluation,
        uncertainty=settings.uncertainty,
        scale=actions.full,
        units=actions.units,
        fixed=tuple(data.fixed),
        huber_delta=settings.huber_delta,
        cell=DatasetSplit.read(scored.split).settings.stratify_by,
    )
    result = score(run, windows, predictions, rules, FileDigest.of(outputs.predictions))
    result.write(outputs.evaluation)
    log.info("%s on %s: %s", settings.title, run.dataset, result.verdict.summary())


def write_predictions(path: Path, windows: ScoredWindows, predictions: Predictions) -> None:
    """Write ``predictions.npz``."""
    arrays: dict[str, Any] = {
        "episode": np.array(windows.episodes)[windows.episode],
        "last_frame": windows.last_frame,
        "ahead": windows.ahead,
        "frame": windows.frame,
        "mask": windows.mask,
        "truth": windows.truth,
        **predictions.arrays(),
    }
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _scored_run(settings: EvaluateSettings, data: RunData, scored: ScoredData) -> ScoredRun:
    dataset = scored.samples.dataset
    return ScoredRun(
        experiment=settings.experiment,
        run=settings.run,
        seed=settings.seed,
        dataset=dataset.name,
        backbone=data.backbone.name,
        manifest=dataset.digest,
        split=sha256_of(scored.split),
        fold=scored.roles.fold,
        folds=scored.roles.folds,
        held_out=scored.roles.held_out,
        trained_on=data.trained_on,
        scored_on="test" if scored.role == "test" else "val",
    )

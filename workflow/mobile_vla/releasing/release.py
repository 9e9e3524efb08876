"""Copy a policy's folder for others, with its scores and the Hub's metadata in its model card."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.files import sha256_of
from mobile_vla.layout import EvaluationFiles, RolloutFiles
from mobile_vla.model.folder import CARD, DESCRIPTION, read_description
from mobile_vla.model.result import PolicyDescription
from mobile_vla.provenance.record import Provenance
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.statistics.result import MeanWithInterval, Proportion

log = logging.getLogger(__name__)

SELECTED = ", on the episodes that selected the checkpoint: too low"


def release(policy: Path, folder: Path, *, license: str, base_model: str | None = None) -> None:
    """Write a copy of a policy's folder whose model card says how good it is and who may use it.

    The card that training writes knows no scores; this one gets those of the run's evaluation and,
    where there are some, of its rollouts, with what they are counted over. `hf upload NAME FOLDER`
    puts it on the Hub.

    Args:
        policy: the best policy's folder of a run, below `results`.
        folder: the folder to write; it must not be there yet.
        license: what others may do with it, such as `apache-2.0`.
        base_model: the backbone's name on the Hub; by default the one that config.yaml names.

    Raises:
        UserError: the policy has not been evaluated as it is now; or the folder is there.
    """
    described = read_description(policy)
    if folder.exists():
        raise UserError(f"{folder}: it is there already; name a folder that is not")
    results = policy.resolve().parent.parent.parent.parent  # experiments/EXPERIMENT/RUN/policy
    scores = list(_scores(policy, described, results))
    text = (policy / CARD).read_text(encoding="utf-8") if (policy / CARD).is_file() else ""
    card: Any = ModelCard(text if text.startswith("---") else f"---\n{{}}\n---\n{text}")
    card.data.license = license
    card.data.pipeline_tag = "robotics"
    card.data.datasets = list(described.data.datasets)
    card.data.base_model = base_model or card.data.base_model
    card.data.model_name = f"{described.experiment} {described.run}"
    card.data.eval_results = scores
    card.text += _section(scores)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".releasing-") as unfinished:
        copy = Path(unfinished, folder.name)
        shutil.copytree(policy, copy)
        card.save(copy / CARD)
        copy.rename(folder)
    log.info("%s: the policy with %d scores; `hf upload NAME %s`", folder, len(scores), folder)


def _scores(policy: Path, described: PolicyDescription, results: Path) -> Iterator[EvalResult]:
    """Yield the scores of a policy, each with the number of episodes that it is counted over."""
    names = {"experiment": described.experiment, "run": described.run}
    evaluation = EvaluationFiles.job(results, **names)
    _check_scored(policy, evaluation.provenance, evaluation.files.listed()[0])
    scored = EvaluationResult.read(evaluation.files.listed()[0])
    of: dict[str, Any] = {
        "task_type": "robotics",
        "task_name": "next velocity commands",
        "dataset_type": scored.dataset,
        "dataset_name": scored.dataset,
        "dataset_split": "test" if scored.scored_on == "test" else "validation",
    }
    too_low = SELECTED if scored.selected_on_scored else ""
    unit = scored.unit
    best = scored.best_baseline.name
    for name, title in (("policy", ""), (best, f" of the best baseline, {best}")):
        error = scored.mae[name].pooled
        yield EvalResult(
            **of,
            metric_type="mae",
            metric_name=f"mean absolute error{title}, {unit}{too_low}",
            metric_value=error.value,
            metric_args=_counted(error, windows=scored.windows),
        )
    for dimension in scored.dimensions:
        yield EvalResult(
            **of,
            metric_type="mae",
            metric_name=f"mean absolute error of {dimension}, {unit}{too_low}",
            metric_value=scored.policy.mae[dimension],
            metric_args={"episodes": scored.episodes, "windows": scored.windows},
        )
    rollouts = RolloutFiles.job(results, **names)
    if rollouts.files.listed()[0].is_file():
        _check_scored(policy, rollouts.provenance, rollouts.files.listed()[0])
        success = RolloutResult.read(rollouts.files.listed()[0]).drivers["policy"].success
        yield EvalResult(
            **{**of, "task_name": "closed loop", "dataset_split": "unseen scenes"},
            metric_type="success_rate",
            metric_name="share of rollouts that reach the target",
            metric_value=success.rate,
            metric_args=_counted(success),
        )


def _counted(score: MeanWithInterval | Proportion, **others: int) -> dict[str, Any]:
    """Return what a score is counted over, and its interval."""
    count = score.trials if isinstance(score, Proportion) else score.episodes
    name = "rollouts" if isinstance(score, Proportion) else "episodes"
    interval = {"low": score.low, "high": score.high, "confidence": score.confidence}
    return {name: count, **others, **(interval if score.low is not None else {})}


def _check_scored(policy: Path, provenance: Path, scores: Path) -> None:
    """Refuse scores that are another policy's.

    Raises:
        UserError: there are none, or the policy was trained again since.
    """
    if not (provenance.is_file() and scores.is_file()):
        raise UserError(
            f"{scores}: not there, so the policy's scores are unknown; expected {policy} to be the "
            "best policy of a run below `results`; run snakemake first"
        )
    if sha256_of(policy / DESCRIPTION) not in Provenance.read(provenance).inputs.values():
        raise UserError(
            f"{scores}: the scores of another policy than {policy}; give the best policy's folder "
            "of the run, or run snakemake, which scores it again"
        )


def _section(scores: list[EvalResult]) -> str:
    """Return the scores as a section of the card."""
    lines = ["", "## Scores", "", "| | | counted over | interval |", "| --- | --- | --- | --- |"]
    for score in scores:
        given = dict(score.metric_args or {})
        ends = [given.pop(name, None) for name in ("low", "high", "confidence")]
        interval = "" if ends[0] is None else f"{ends[0]:.4f} to {ends[1]:.4f} ({ends[2]:.0%})"
        over = ", ".join(f"{count} {name}" for name, count in given.items())
        title = f"{score.task_name}, {score.dataset_name}: {score.metric_name}"
        lines.append(f"| {title} | {score.metric_value:.4f} | {over} | {interval} |")
    return "\n".join([*lines, ""])

"""The stage that writes the report's tables: CSV with all digits, and LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import ReportSettings
from mobile_vla.files import write_text
from mobile_vla.reporting.epochs import EpochRow, epoch_rows
from mobile_vla.reporting.latex import latex
from mobile_vla.reporting.load import Run, load_runs
from mobile_vla.reporting.score_tables import (
    PAIR,
    cell_lines,
    headline,
    pair_lines,
    part_lines,
    step_lines,
    verdict_lines,
)
from mobile_vla.reporting.sweeps import SweepTable, sweep_tables

METRICS = ("mae", "mse", "rmse", "r2")


def tables(
    settings: ReportSettings,
    *,
    metrics: list[Path],
    results: list[Path],
    evaluations: list[Path],
    elsewhere: list[Path],
    timings: list[Path],
    languages: list[Path],
    latencies: list[Path],
    rollouts: list[Path],
    comparison: Path,
    experiments: Path,
    epochs: Path,
    errors: Path,
    verdicts: Path,
    pairs: Path,
    by_step: Path,
    by_cell: Path,
    by_part: Path,
    scores: Path | None = None,
    sweeps: Path | None = None,
) -> None:
    """Write the tables. A cell is empty where there is no value.

    Args:
        settings: the report's settings.
        metrics: each run's ``metrics.csv``, in the order of ``settings.runs``.
        results: each run's ``training_results.json``.
        evaluations: each run's ``evaluation.json``.
        elsewhere: each run's ``evaluation.json`` on each dataset of its ``evaluate_on``.
        timings: each experiment's ``timing.json``, in the order of the experiments' first runs.
        languages: each run's ``language.json``.
        latencies: each experiment's ``latency.json``.
        rollouts: the ``rollouts.json`` of each run that was rolled out.
        comparison: ``comparison.json``.
        experiments: where to write a line for each run: errors, losses, times, sizes.
        epochs: where to write a line for each epoch of each run; changes are of the validation
            loss, in per cent.
        errors: where to write a line for each error of each policy and baseline.
        verdicts: where to write a line for each experiment and baseline or control; so that a paper
            can hold it, a ``.tex`` beside it has the best baselines' lines alone.
        pairs: where to write a line for each pair of experiments, and its ``.tex`` beside it.
        by_step: the same for each step of each run's chunk.
        by_cell: the same for each cell of each run's dataset.
        by_part: the same for first steps, turns, stops and changes.
        scores: where to write a line for each score on another dataset, where there are some.
        sweeps: where to write a line for each combination of each sweep, where there are some.

    Raises:
        UserError: an input is missing or is not what the report reads.
    """
    runs = load_runs(
        settings,
        metrics=metrics,
        results=results,
        evaluations=evaluations,
        timings=timings,
        languages=languages,
        latencies=latencies,
        rollouts=rollouts,
        elsewhere=elsewhere,
    )
    _write(experiments, [_headline(run) for run in runs])
    _write(epochs, [line for run in runs for line in _epochs(run)])
    _write(errors, [line for run in runs for line in _errors(run)])
    compared = ComparisonResult.read(comparison)
    _write(verdicts, list(verdict_lines(compared)))
    write_text(verdicts.with_suffix(".tex"), latex(headline(compared)))
    _both(pairs, list(pair_lines(compared)), PAIR)
    _both(by_step, list(step_lines(runs)))
    _both(by_cell, list(cell_lines(runs)))
    _both(by_part, list(part_lines(runs)))
    if sweeps is not None:
        found = sweep_tables(settings.sweeps, runs, compared)
        _write(sweeps, [line for own in found for line in _combinations(own)])
    if scores is not None:
        _write(scores, [line for run in runs for line in _elsewhere(run)])


def _headline(run: Run) -> dict[str, Any]:
    scored, trained, timed = run.evaluation, run.training, run.timing
    return {
        "experiment": run.experiment,
        "run": run.run,
        "dataset": run.settings.dataset,
        "backbone": run.settings.backbone,
        "fold": scored.fold,
        "held_out": scored.held_out,
        "training_episodes": trained.episodes["train"],
        "scored_on": scored.scored_on,
        "selected_on_scored": scored.selected_on_scored,
        "episodes": scored.episodes,
        "windows": scored.windows,
        "steps": scored.steps,
        "mae_command_units": scored.policy_mae,
        "best_baseline": scored.best_baseline.name,
        "best_baseline_mae_command_units": scored.best_baseline.mae,
        "skill": scored.skill,
        **_behaviour(run),
        "verdict": scored.verdict.outcome,
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "best_val_loss": trained.best_val_loss,
        "preset": run.preset,
        "initial_val_loss": trained.initial_val_loss,
        "final_val_loss": trained.final_val_loss,
        "val_loss_change_percent": _percent(_last(run).cumulative),
        "trainable_parameters": trained.parameters.trainable_total,
        "backbone_parameters": trained.parameters.backbone_total,
        "policy_bytes": trained.policy_bytes,
        "avg_epoch_seconds": trained.avg_epoch_time,
        "total_seconds": trained.total_time,
        "projected_epoch_seconds": timed.seconds_per_epoch,
        "projected_total_seconds": timed.projected_seconds,
        "device": trained.device,
        "precision": trained.precision,
        "threads": trained.threads,
    }


def _last(run: Run) -> EpochRow:
    return epoch_rows(run.epochs, run.training.best_epoch)[-1]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _behaviour(run: Run) -> dict[str, Any]:
    driven, step = run.rollouts, run.latency.precisions[0]
    found: dict[str, Any] = {
        "language": run.language.verdict,
        "mae_under_opposite_prompt_command_units": run.language.mae["opposite"]["overall"],
        "step_p50_seconds": step.seconds.p50 if run.latency.run == run.run else None,
        "step_p99_seconds": step.seconds.p99 if run.latency.run == run.run else None,
    }
    own = driven.drivers["policy"].success if driven is not None else None
    return {
        **found,
        "rollouts": own.trials if own else None,
        "closed_loop_success": own.rate if own else None,
        "closed_loop_success_low": own.low if own else None,
        "closed_loop_success_high": own.high if own else None,
        "closed_loop_against_replay": driven.against_replay.verdict if driven else None,
        "closed_loop_against_expert": driven.against_expert.verdict if driven else None,
    }


def _epochs(run: Run) -> Iterable[dict[str, Any]]:
    for row in epoch_rows(run.epochs, run.training.best_epoch):
        yield {
            "experiment": run.experiment,
            "run": run.run,
            "epoch": row.epoch,
            "train_loss": row.train_loss,
            "val_loss": row.val_loss,
            "change_percent": _percent(row.change),
            "cumulative_change_percent": _percent(row.cumulative),
            "best": row.best,
            "train_loss_arm_act": row.measured.train_loss_arm_act,
            "val_loss_arm_act": row.measured.val_loss_arm_act,
            "val_loss_gripper_act": row.measured.val_loss_gripper_act,
            "val_acc_gripper_act": row.measured.val_acc_gripper_act,
        }


def _errors(run: Run) -> Iterable[dict[str, Any]]:
    scored = run.evaluation
    for predictor, found in [("policy", scored.policy), *scored.baselines.items()]:
        for metric in METRICS:
            values: dict[str, float | None] = getattr(found, metric)
            for dimension, value in values.items():
                yield {
                    "experiment": run.experiment,
                    "run": run.run,
                    "scored_on": scored.scored_on,
                    "episodes": scored.episodes,
                    "steps": scored.steps,
                    "predictor": predictor,
                    "metric": metric,
                    "dimension": dimension,
                    "value": value,
                }


def _combinations(own: SweepTable) -> Iterable[dict[str, Any]]:
    for point in own.points:
        yield {
            "sweep": own.name,
            "experiment": point.experiment,
            "values": "; ".join(f"{key} {value}" for key, value in point.values.items()),
            "mae_command_units": point.mae.value,
            "low": point.mae.low,
            "high": point.mae.high,
            "on_the_same_steps": own.alike,
            "best_baseline_mae_command_units": point.baseline,
            "training_windows": point.windows,
            "optimizer_steps": point.steps,
        }


def _elsewhere(run: Run) -> Iterable[dict[str, Any]]:
    for scored in run.elsewhere:
        yield {
            "experiment": run.experiment,
            "run": run.run,
            "trained_on": scored.trained_on.dataset,
            "training_episodes": run.training.episodes["train"],
            "dataset": scored.dataset,
            "scored_on": scored.scored_on,
            "fold": scored.fold,
            "episodes": scored.episodes,
            "windows": scored.windows,
            "steps": scored.steps,
            "mae_command_units": scored.policy_mae,
            **{
                f"mae_{name}_command_units": value
                for name, value in scored.policy.mae.items()
                if name != "overall"
            },
            "best_baseline": scored.best_baseline.name,
            "best_baseline_mae_command_units": scored.best_baseline.mae,
            "skill": scored.skill,
            "verdict": scored.verdict.outcome,
        }


def _both(path: Path, lines: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> None:
    _write(path, lines, columns)
    write_text(path.with_suffix(".tex"), latex(lines, columns))


def _write(path: Path, lines: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write lines; ``columns`` say the head where there may be none."""
    text = io.StringIO()
    names = list(columns or lines[0])
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())

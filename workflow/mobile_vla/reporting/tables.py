"""Write the report's tables: CSV with all digits, and LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import TABLES, ReportSettings
from mobile_vla.files import write_text
from mobile_vla.layout import ComparisonFiles, TableFiles
from mobile_vla.reporting.epochs import EpochRow, epoch_rows
from mobile_vla.reporting.latex import latex
from mobile_vla.reporting.load import Run, load_runs
from mobile_vla.reporting.score_tables import (
    PAIR,
    Line,
    best_baseline_lines,
    cell_lines,
    pair_lines,
    part_lines,
    step_lines,
    verdict_lines,
)
from mobile_vla.reporting.sweeps import SweepTable, sweep_tables

METRICS = ("mae", "mse", "rmse", "r2")


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        lines: values by column; None where there is no value.
        columns: the head, where there may be no line.
        paper: the lines of the LaTeX file, where it has fewer of them than the CSV file.
    """

    lines: Sequence[Line]
    columns: Sequence[str] = ()
    paper: Sequence[Line] | None = None


def tables(settings: ReportSettings, results: Path) -> None:
    """Write the tables.

    Args:
        settings: the runs and the sweeps.
        results: the folder of all results.

    Raises:
        UserError: an input is missing or is not what the report reads.
    """
    runs = load_runs(settings, results)
    scores = ComparisonResult.read(ComparisonFiles.below(results).comparison)
    made = _tables(runs, scores, sweep_tables(settings.sweeps, runs, scores))
    for name in settings.table_names():
        table, files = made[name], TableFiles.below(results, table=name)
        write_text(files.csv, _csv(table.lines, table.columns))
        if TABLES[name]:
            lines = table.lines if table.paper is None else table.paper
            write_text(files.latex, latex(lines, table.columns))


def _tables(
    runs: Sequence[Run], scores: ComparisonResult, sweeps: Sequence[SweepTable]
) -> dict[str, Table]:
    """Return the tables by name; changes of the validation loss are in per cent."""
    return {
        "experiments": Table([_headline(run) for run in runs]),
        "epochs": Table([line for run in runs for line in _epochs(run)]),
        "errors": Table([line for run in runs for line in _errors(run)]),
        "verdicts": Table(list(verdict_lines(scores)), paper=best_baseline_lines(scores)),
        "pairs": Table(list(pair_lines(scores)), PAIR),
        "by_step": Table(list(step_lines(runs))),
        "by_cell": Table(list(cell_lines(runs))),
        "by_part": Table(list(part_lines(runs))),
        "sweeps": Table([line for sweep in sweeps for line in _combinations(sweep)]),
        "elsewhere": Table([line for run in runs for line in _elsewhere(run)]),
    }


def _headline(run: Run) -> Line:
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


def _behaviour(run: Run) -> Line:
    rollouts, step = run.rollouts, run.latency.precisions[0]
    timed = run.latency.run == run.run
    success = rollouts.drivers["policy"].success if rollouts is not None else None
    return {
        "language": run.language.verdict,
        "mae_under_opposite_prompt_command_units": run.language.mae["opposite"]["overall"],
        "step_p50_seconds": step.seconds.p50 if timed else None,
        "step_p99_seconds": step.seconds.p99 if timed else None,
        "rollouts": success.trials if success else None,
        "closed_loop_success": success.rate if success else None,
        "closed_loop_success_low": success.low if success else None,
        "closed_loop_success_high": success.high if success else None,
        "closed_loop_against_replay": rollouts.against_replay.verdict if rollouts else None,
        "closed_loop_against_expert": rollouts.against_expert.verdict if rollouts else None,
    }


def _epochs(run: Run) -> Iterable[Line]:
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


def _errors(run: Run) -> Iterable[Line]:
    scored = run.evaluation
    for predictor, errors in [("policy", scored.policy), *scored.baselines.items()]:
        for metric in METRICS:
            values: dict[str, float | None] = getattr(errors, metric)
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


def _combinations(sweep: SweepTable) -> Iterable[Line]:
    for point in sweep.points:
        yield {
            "sweep": sweep.name,
            "experiment": point.experiment,
            "values": "; ".join(f"{key} {value}" for key, value in point.values.items()),
            "mae_command_units": point.mae.value,
            "low": point.mae.low,
            "high": point.mae.high,
            "on_the_same_steps": sweep.alike,
            "best_baseline_mae_command_units": point.baseline,
            "training_windows": point.windows,
            "optimizer_steps": point.steps,
        }


def _elsewhere(run: Run) -> Iterable[Line]:
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


def _csv(lines: Sequence[Line], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns or lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()

"""The lines of the report's tables, as values by column; None where there is no value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.units import Units
from mobile_vla.evaluation.result import EvaluationResult, Slice
from mobile_vla.reporting.load import EpochRow, Run, epoch_rows
from mobile_vla.reporting.sweeps import SweepTable
from mobile_vla.reporting.units import in_units
from mobile_vla.trials.result import COUNTED, TrialResult

Line = Mapping[str, Any]

METRICS = ("mae", "mse", "rmse", "r2")
COLUMNS = {
    "pairs": (
        *("one", "other", "dataset", "scored_on", "episodes", "steps", "difference", "low", "high"),
        *("confidence", "p", "p_holm", "better", "episodes_needed"),
    ),
    "drives": (
        *("trial", "unblinded", "policy", "drives", "successes", "rate", "low", "high"),
        *("confidence", *COUNTED),
    ),
    "drive_pairs": (
        *("trial", "one", "other", "blocks", "wins", "losses", "ties", "missing", "difference"),
        *("low", "high", "confidence", "evidence", "p", "p_holm", "pairs", "better"),
        *("decided_after", "holds", "remaining", "chance"),
    ),
}
"""Of tables that may have no line."""


def _fields(content: object, *names: str) -> Line:
    """Return fields of a result under their names."""
    return {name: getattr(content, name) for name in names}


def experiment_line(run: Run, units: Mapping[str, Units]) -> Line:
    """Return what a run comes to; the change of its validation loss is in per cent.

    Args:
        units: by dataset, what one unit of a command is; errors are in command units, too.
    """
    scored, trained, timed = run.evaluation, run.training, run.timing
    return {
        **_fields(run, "experiment", "run"),
        **_fields(run.settings, "dataset", "backbone"),
        **_fields(scored, "fold", "held_out"),
        "training_episodes": trained.episodes["train"],
        **_fields(scored, "scored_on", "selected_on_scored", "episodes", "windows", "steps"),
        "mae_command_units": scored.policy_mae,
        **_physical(scored, units, "mae", "overall", scored.policy_mae),
        **_skill(scored),
        **_behaviour(run),
        "verdict": scored.verdict.outcome,
        **_fields(trained, "epochs", "best_epoch", "best_val_loss"),
        "preset": run.settings.settings.get("preset"),
        **_fields(trained, "initial_val_loss", "final_val_loss"),
        "val_loss_change_percent": _percent(_epochs(run)[-1].cumulative),
        "trainable_parameters": trained.parameters.trainable_total,
        "backbone_parameters": trained.parameters.backbone_total,
        "policy_bytes": trained.policy_bytes,
        "avg_epoch_seconds": trained.avg_epoch_time,
        "total_seconds": trained.total_time,
        "projected_epoch_seconds": timed.seconds_per_epoch,
        "projected_total_seconds": timed.projected_seconds,
        **_fields(trained, "device", "precision", "threads"),
    }


def _physical(
    scored: EvaluationResult, units: Mapping[str, Units], metric: str, name: str, value: float
) -> Line:
    """Return an error in metres or radians a second; nothing where the dataset says no units."""
    physical, unit = in_units(scored, units, metric, name, value) or (None, None)
    return {"physical_value": physical, "physical_unit": unit}


def _skill(scored: EvaluationResult) -> Line:
    return {
        "best_baseline": scored.best_baseline.name,
        "best_baseline_mae_command_units": scored.best_baseline.mae,
        "skill": scored.skill,
    }


def _behaviour(run: Run) -> Line:
    rollouts = run.rollouts
    success = rollouts.drivers["policy"].success if rollouts else None
    step = run.latency.precisions[0].seconds if run.latency.run == run.run else None
    return {
        "language": run.language.verdict,
        "mae_under_opposite_prompt_command_units": run.language.mae["opposite"]["overall"],
        "step_p50_seconds": step.p50 if step else None,
        "step_p99_seconds": step.p99 if step else None,
        "rollouts": success.trials if success else None,
        "closed_loop_success": success.rate if success else None,
        "closed_loop_success_low": success.low if success else None,
        "closed_loop_success_high": success.high if success else None,
        "closed_loop_against_replay": rollouts.against_replay.verdict if rollouts else None,
        "closed_loop_against_expert": rollouts.against_expert.verdict if rollouts else None,
    }


def _epochs(run: Run) -> list[EpochRow]:
    return epoch_rows(run.epochs, run.training.best_epoch)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def epoch_lines(run: Run) -> Iterator[Line]:
    """Yield a run's losses; changes of the validation loss are in per cent."""
    for row in _epochs(run):
        yield {
            **_fields(run, "experiment", "run"),
            **_fields(row.measured, "epoch", "train_loss", "val_loss", "val_success"),
            "change_percent": _percent(row.change),
            "cumulative_change_percent": _percent(row.cumulative),
            "best": row.best,
            **_fields(row.measured, "train_loss_arm_act", "val_loss_arm_act"),
            **_fields(row.measured, "val_loss_gripper_act", "val_acc_gripper_act"),
        }


def error_lines(run: Run, units: Mapping[str, Units]) -> Iterator[Line]:
    """Yield the errors of a run and of its baselines, by metric and dimension."""
    scored = run.evaluation
    for predictor, errors in [("policy", scored.policy), *scored.baselines.items()]:
        for metric in METRICS:
            for dimension, value in getattr(errors, metric).items():
                yield {
                    **_fields(run, "experiment", "run"),
                    **_fields(scored, "scored_on", "episodes", "steps"),
                    "predictor": predictor,
                    "metric": metric,
                    "dimension": dimension,
                    "value": value,
                    **_physical(scored, units, metric, dimension, value),
                }


def verdict_lines(scores: ComparisonResult) -> Iterator[Line]:
    """Yield each experiment's error beside each baseline and control, with the interval."""
    for judged in scores.experiments:
        for name, difference in judged.differences.items():
            yield {
                "experiment": judged.experiment,
                "verdict": judged.verdict.outcome,
                "disagreeing": "; ".join(own.name for own in judged.disagreeing),
                "episodes": judged.episodes,
                "mae": judged.mae.value,
                "mae_low": judged.mae.low,
                "mae_high": judged.mae.high,
                "against": name,
                "kind": "baseline" if name in judged.baselines else "control",
                "its_mae": judged.baselines.get(name, judged.controls.get(name)),
                "difference": difference.value,
                **_fields(difference, "low", "high"),
                "confidence": judged.mae.confidence,
                **_fields(difference, "p", "p_holm"),
            }


def pair_lines(scores: ComparisonResult) -> Iterator[Line]:
    """Yield the difference of each pair of experiments on the same steps."""
    for group in (*scores.groups, *scores.on_members):
        for pair in group.pairs:
            one, other = pair.experiments
            yield {
                "one": one,
                "other": other,
                **_fields(group, "dataset", "scored_on", "episodes", "steps"),
                **_fields(pair, "difference", "low", "high", "confidence", "p", "p_holm", "better"),
                "episodes_needed": pair.needed,
            }


def step_lines(run: Run) -> Iterator[Line]:
    """Yield the errors of a run at each step of its chunk."""
    for part in run.evaluation.by_step:
        yield _part(run, part, {"step": part.step})


def cell_lines(run: Run) -> Iterator[Line]:
    """Yield the errors of a run in each cell of its dataset."""
    for part in run.evaluation.by_cell:
        cell = ", ".join(f"{key} {value}" for key, value in (part.cell or {}).items())
        yield _part(run, part, {"cell": cell or "all"})


def part_lines(run: Run) -> Iterator[Line]:
    """Yield the errors of a run in the parts of the steps where it matters most.

    Displacements, in command steps, are there for turns and stops alone.
    """
    best = run.evaluation.best_baseline.name
    for name, part in run.evaluation.parts.items():
        if part is None:
            continue
        segments = run.evaluation.segments.get(name)
        displacement = segments.displacement if segments else {}
        yield {
            **_part(run, part, {"part": name}),
            "segments": segments.segments if segments else None,
            "ade": displacement["policy"].ade if displacement else None,
            "fde": displacement["policy"].fde if displacement else None,
            "best_baseline_ade": displacement[best].ade if displacement else None,
            "best_baseline_fde": displacement[best].fde if displacement else None,
        }


def _part(run: Run, part: Slice, label: Line) -> Line:
    best = run.evaluation.best_baseline.name
    return {
        **_fields(run, "experiment", "run"),
        **label,
        **_fields(part, "episodes", "windows", "steps"),
        "mae": part.policy.mae["overall"],
        "rmse": part.policy.rmse["overall"],
        "best_baseline": best,
        "best_baseline_mae": part.mae[best],
    }


def sweep_lines(sweep: SweepTable) -> Iterator[Line]:
    """Yield the combinations of a sweep."""
    for point in sweep.points:
        yield {
            "sweep": sweep.name,
            "experiment": point.experiment,
            "values": "; ".join(f"{key} {value}" for key, value in point.values.items()),
            "mae_command_units": point.mae.value,
            **_fields(point.mae, "low", "high"),
            "on_the_same_steps": sweep.alike,
            "best_baseline_mae_command_units": point.baseline,
            "training_windows": point.windows,
            "optimizer_steps": point.steps,
        }


def elsewhere_lines(run: Run, units: Mapping[str, Units]) -> Iterator[Line]:
    """Yield the errors of a run on other datasets."""
    for scored in (*run.members, *run.elsewhere):
        mae = scored.policy.mae
        yield {
            **_fields(run, "experiment", "run"),
            "trained_on": scored.trained_on.dataset,
            "training_episodes": run.training.episodes["train"],
            **_fields(scored, "dataset", "scored_on", "fold", "episodes", "windows", "steps"),
            "mae_command_units": scored.policy_mae,
            **{f"mae_{name}_command_units": mae[name] for name in mae if name != "overall"},
            **_physical(scored, units, "mae", "overall", scored.policy_mae),
            **_skill(scored),
            "verdict": scored.verdict.outcome,
        }


def drive_lines(trial: TrialResult) -> Iterator[Line]:
    """Yield how often each policy of a trial arrived."""
    for own in trial.policies:
        yield {
            "trial": trial.trial,
            "unblinded": trial.unblinded,
            "policy": own.policy,
            **_fields(own.now, "drives", "successes"),
            "rate": own.now.rate,
            **_fields(own.now, "low", "high"),
            "confidence": trial.confidence,
            **{name: own.outcomes[name] for name in COUNTED},
        }


def drive_pair_lines(trial: TrialResult) -> Iterator[Line]:
    """Yield what a trial says of each pair of its policies."""
    for pair in trial.pairs:
        one, other = pair.policies
        counts = ("blocks", "wins", "losses", "ties", "missing", "difference", "low", "high")
        yield {
            "trial": trial.trial,
            "one": one,
            "other": other,
            **_fields(pair, *counts, "confidence", "evidence", "p", "p_holm"),
            "pairs": trial.comparisons,
            **_fields(pair, "better", "decided_after", "holds", "remaining", "chance"),
        }

"""The stage that draws the figures."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.reporting import ReportSettings
from mobile_vla.reporting.drawing.closed_loop import draw_closed_loop
from mobile_vla.reporting.drawing.epoch_time import draw_epoch_time
from mobile_vla.reporting.drawing.error_by_dimension import draw_error_by_dimension
from mobile_vla.reporting.drawing.error_by_training_size import draw_error_by_training_size
from mobile_vla.reporting.drawing.loss_curves import draw_loss_curves
from mobile_vla.reporting.drawing.speed_ladder import draw_speed_ladder
from mobile_vla.reporting.drawing.style import save, styled
from mobile_vla.reporting.drawing.velocity_traces import draw_velocity_traces
from mobile_vla.reporting.load import experiments_of, load_runs
from mobile_vla.reporting.selection import best_driver, best_run


def figures(
    settings: ReportSettings,
    *,
    metrics: list[Path],
    results: list[Path],
    evaluations: list[Path],
    elsewhere: list[Path],
    predictions: list[Path],
    timings: list[Path],
    languages: list[Path],
    latencies: list[Path],
    rollouts: list[Path],
    paths: list[Path],
    loss_curves: Path,
    error_by_dimension: Path,
    velocity_traces: Path,
    epoch_time: Path,
    error_by_training_size: Path | None = None,
    closed_loop: Path | None = None,
    speed_ladder: Path | None = None,
) -> None:
    """Draw all figures, each as SVG and as PNG beside it.

    Args:
        settings: the report's settings.
        metrics: each run's ``metrics.csv``, in the order of ``settings.runs``.
        results: each run's ``training_results.json``.
        evaluations: each run's ``evaluation.json``.
        elsewhere: each run's ``evaluation.json`` on each dataset of its ``evaluate_on``.
        predictions: each run's ``predictions.npz``.
        timings: each experiment's ``timing.json``, in the order of the experiments' first runs.
        languages: each run's ``language.json``.
        latencies: each experiment's ``latency.json``.
        rollouts: the ``rollouts.json`` of each run that was rolled out.
        paths: the ``rollouts.npz`` of each of these.
        loss_curves: where to write that SVG; so with the others.
        error_by_dimension: see above.
        velocity_traces: see above; shows the run with the highest skill.
        epoch_time: see above.
        error_by_training_size: see above; only where experiments differ in ``subset``.
        closed_loop: see above; only where a run was rolled out. Shows the run with the highest
            share of successes.
        speed_ladder: see above; only where an experiment has ``timing.ladder``.

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
    best = best_run(runs)
    shown = predictions[runs.index(best)]
    with styled():
        save(draw_loss_curves(runs), loss_curves)
        save(draw_error_by_dimension(runs), error_by_dimension)
        save(draw_velocity_traces(best, shown, experiments_of(settings)), velocity_traces)
        save(draw_epoch_time(runs), epoch_time)
        if error_by_training_size is not None:
            save(draw_error_by_training_size(runs), error_by_training_size)
        if closed_loop is not None:
            driven = [run for run in runs if run.rollouts is not None]
            best = best_driver(driven)
            save(draw_closed_loop(best, paths[driven.index(best)]), closed_loop)
        if speed_ladder is not None:
            save(draw_speed_ladder(runs), speed_ladder)

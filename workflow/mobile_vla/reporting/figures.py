"""The stage that draws the figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import ReportSettings
from mobile_vla.errors import UserError
from mobile_vla.files import write_json
from mobile_vla.reporting.drawing.action_sequences import action_sequences
from mobile_vla.reporting.drawing.closed_loop import closed_loop
from mobile_vla.reporting.drawing.confusion import confusion
from mobile_vla.reporting.drawing.coverage import coverage
from mobile_vla.reporting.drawing.differences import differences
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.drawing.episodes import episodes
from mobile_vla.reporting.drawing.epoch_time import epoch_time
from mobile_vla.reporting.drawing.error_by_dimension import error_by_dimension
from mobile_vla.reporting.drawing.error_by_frame import error_by_frame
from mobile_vla.reporting.drawing.error_by_scenario import error_by_scenario
from mobile_vla.reporting.drawing.error_by_step import error_by_step
from mobile_vla.reporting.drawing.error_by_training_size import error_by_training_size
from mobile_vla.reporting.drawing.language import language
from mobile_vla.reporting.drawing.latency import latency
from mobile_vla.reporting.drawing.loss_curves import loss_curves
from mobile_vla.reporting.drawing.overfitting_gap import overfitting_gap
from mobile_vla.reporting.drawing.predicted_paths import predicted_paths
from mobile_vla.reporting.drawing.speed_ablation import speed_ablation
from mobile_vla.reporting.drawing.style import save, styled
from mobile_vla.reporting.drawing.sweeps import sweeps
from mobile_vla.reporting.drawing.tolerance import tolerance
from mobile_vla.reporting.drawing.velocity_traces import velocity_traces
from mobile_vla.reporting.load import load_datasets, load_runs
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.sweeps import sweep_tables
from mobile_vla.reporting.texts import Texts

DRAWINGS: dict[str, Callable[[Material], Drawn]] = {
    "action_sequences": action_sequences,
    "coverage": coverage,
    "loss_curves": loss_curves,
    "overfitting_gap": overfitting_gap,
    "error_by_dimension": error_by_dimension,
    "differences": differences,
    "error_by_step": error_by_step,
    "error_by_frame": error_by_frame,
    "error_by_scenario": error_by_scenario,
    "confusion": confusion,
    "tolerance": tolerance,
    "closed_loop": closed_loop,
    "language": language,
    "sweeps": sweeps,
    "error_by_training_size": error_by_training_size,
    "velocity_traces": velocity_traces,
    "predicted_paths": predicted_paths,
    "episodes": episodes,
    "epoch_time": epoch_time,
    "speed_ablation": speed_ablation,
    "latency": latency,
}
"""Each figure's function by its name, which its files and its texts begin with."""


def figures(
    settings: ReportSettings,
    *,
    manifests: list[Path],
    actions: list[Path],
    splits: list[Path],
    audits: list[Path],
    metrics: list[Path],
    results: list[Path],
    evaluations: list[Path],
    elsewhere: list[Path],
    predictions: list[Path],
    comparison: Path,
    timings: list[Path],
    languages: list[Path],
    latencies: list[Path],
    rollouts: list[Path],
    paths: list[Path],
    texts: Path,
    labels: Path,
    drawings: list[Path],
    captions: Path,
) -> None:
    """Draw all figures, each as SVG, and as PDF and PNG beside it.

    Args:
        settings: the report's settings.
        manifests: each dataset's ``manifest.json``, in the order of ``settings.datasets``; the
            frames that are shown lie beside it.
        actions: each dataset's ``actions.npy``.
        splits: each dataset's ``split.json``.
        audits: each dataset's ``audit.json``.
        metrics: each run's ``metrics.csv``, in the order of ``settings.runs``.
        results: each run's ``training_results.json``.
        evaluations: each run's ``evaluation.json``.
        elsewhere: each run's ``evaluation.json`` on each dataset of its ``evaluate_on``.
        predictions: each run's ``predictions.npz``.
        comparison: ``comparison.json``.
        timings: each experiment's ``timing.json``, in the order of the experiments' first runs.
        languages: each run's ``language.json``.
        latencies: each experiment's ``latency.json``.
        rollouts: the ``rollouts.json`` of each run that was rolled out.
        paths: the ``rollouts.npz`` of each of these.
        texts: the words of titles, captions and alternative texts.
        labels: the English words, for what stands in the figures.
        drawings: where to write the SVGs; their stems are the figures' names.
        captions: where to write each figure's title, caption and alternative text.

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
    scores = ComparisonResult.read(comparison)
    material = Material(
        runs=runs,
        datasets=load_datasets(settings, manifests=manifests, splits=splits, audits=audits),
        scores=scores,
        texts=Texts.read(texts),
        labels=Texts.read(labels),
        predictions=tuple(predictions),
        paths=tuple(paths),
        actions=tuple(actions),
        manifests=tuple(manifests),
        sweeps=sweep_tables(settings.sweeps, runs, scores),
    )
    said = {}
    with styled():
        for path in drawings:
            if path.stem not in DRAWINGS:
                names = ", ".join(DRAWINGS)
                raise UserError(f"{path}: there is no such figure; expected one of {names}")
            drawn = DRAWINGS[path.stem](material)
            save(drawn.figure, path)
            said[path.stem] = {
                "title": drawn.title,
                "caption": drawn.caption,
                "alt": drawn.alt,
            }
    write_json(captions, said)

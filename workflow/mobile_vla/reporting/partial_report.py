"""The page from the runs that finished, while others run, wait, or have failed."""

from __future__ import annotations

import logging
from pathlib import Path

from mobile_vla.comparison.compare import compare
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.reporting import PartialSettings, ReportedRun, ReportSettings
from mobile_vla.errors import UserError
from mobile_vla.layout import ComparisonFiles
from mobile_vla.reporting.figures import figures
from mobile_vla.reporting.missing import Missing
from mobile_vla.reporting.page import page
from mobile_vla.timing.result import TimingResult

log = logging.getLogger(__name__)

TAIL = 12  # lines of a log
OF_RUN = {  # the log of the stage by each file of a run
    "metrics.csv": "train",
    "training_results.json": "train",
    "evaluation.json": "evaluate",
    "predictions.npz": "evaluate",
    "language.json": "language",
}
OF_EXPERIMENT = {"timing.json": "timing", "latency.json": "latency"}


def partial_report(
    settings: PartialSettings,
    *,
    results: Path,
    templates: list[Path],
    texts: Path,
    labels: Path,
    report: Path,
) -> None:
    """Write the page of the runs whose files are there, as they are, and list the others.

    Unlike the whole report it waits for nothing and makes nothing anew: a result that an edit made
    out of date is shown as it is.

    Args:
        settings: those of the report, and of the comparison, which is made of the same runs.
        results: the folder of all results.
        templates: the page's jinja2 templates, style and script.
        texts: the words of the page.
        labels: the English words, for what stands in the figures.
        report: where to write the page; its figures go beside it.

    Raises:
        UserError: no run has finished, or a dataset is not there.
    """
    runs, missing = [], []
    for own in settings.report.runs:
        files = _files(own, results)
        lacking = next((files[path] for path in files if not path.is_file()), None)
        if lacking is None:
            runs.append(own)
        else:
            missing.append(_missing(own, lacking))
    if not runs:
        raise UserError(
            f"{results / 'experiments'}: none of {len(missing)} runs has finished yet; "
            "`snakemake --cores 1` runs them, and their logs are in results/logs/"
        )
    datasets = {name: results / "datasets" / name for name in settings.report.datasets}
    known = tuple(name for name, folder in datasets.items() if (folder / "audit.json").is_file())
    kept = ReportSettings(
        runs=tuple(runs),
        datasets=known,
        sweeps=settings.report.sweeps,
        figures=(),
        report=settings.report.report,
    )
    _write(kept, settings, missing, results, templates, texts, labels, report)
    log.info("%s: %d of %d runs", report, len(runs), len(runs) + len(missing))


def _write(
    kept: ReportSettings,
    settings: PartialSettings,
    missing: list[Missing],
    results: Path,
    templates: list[Path],
    texts: Path,
    labels: Path,
    report: Path,
) -> None:
    folders = [results / "experiments" / own.experiment / own.run for own in kept.runs]
    experiments = list(dict.fromkeys(folder.parent for folder in folders))
    data = [results / "datasets" / name for name in kept.datasets]
    names = _drawable(kept, settings.report.figures, [own / "timing.json" for own in experiments])
    comparison, captions = report.parent / "comparison.json", report.parent / "captions.json"
    drawings = [report.parent / f"figures/{name}.svg" for name in names]
    scores = [folder / "evaluation.json" for folder in folders]
    predictions = [folder / "predictions.npz" for folder in folders]
    compare(
        CompareSettings(
            runs=tuple(ComparedRun(experiment=own.experiment, run=own.run) for own in kept.runs),
            uncertainty=settings.uncertainty,
        ),
        results,
        ComparisonFiles(comparison),
    )
    driven = [folder for own, folder in zip(kept.runs, folders, strict=True) if own.rolled_out]
    files = {
        "manifests": [folder / "manifest.json" for folder in data],
        "splits": [folder / "split.json" for folder in data],
        "audits": [folder / "audit.json" for folder in data],
        "metrics": [folder / "metrics.csv" for folder in folders],
        "results": [folder / "training_results.json" for folder in folders],
        "evaluations": scores,
        "elsewhere": [
            folder / f"on/{name}/evaluation.json"
            for own, folder in zip(kept.runs, folders, strict=True)
            for name in own.evaluate_on
        ],
        "timings": [folder / "timing.json" for folder in experiments],
        "languages": [folder / "language.json" for folder in folders],
        "latencies": [folder / "latency.json" for folder in experiments],
        "rollouts": [folder / "rollouts.json" for folder in driven],
    }
    figures(
        kept,
        **files,
        actions=[folder / "actions.npy" for folder in data],
        predictions=predictions,
        paths=[folder / "rollouts.npz" for folder in driven],
        comparison=comparison,
        texts=texts,
        labels=labels,
        drawings=drawings,
        captions=captions,
    )
    page(
        kept,
        **files,
        comparison=comparison,
        provenance=sorted(
            path for folder in (*data, *folders) for path in folder.glob("*.provenance.json")
        ),
        figures=drawings,
        captions=captions,
        templates=templates,
        texts=texts,
        report=report,
        missing=missing,
    )


def _drawable(kept: ReportSettings, names: tuple[str, ...], timings: list[Path]) -> list[str]:
    """Return the figures for which the finished runs have something to draw."""
    subsets = {str(own.settings.get("subset")) for own in kept.runs}
    finished = {own.experiment for own in kept.runs}
    drawn = {
        "sweeps": any(
            member.experiment in finished for own in kept.sweeps for member in own.members
        ),
        "closed_loop": any(own.rolled_out for own in kept.runs),
        "error_by_training_size": len(subsets) > 1,
        "speed_ablation": any(TimingResult.read(path).ablation for path in timings),
    }
    return [name for name in names if drawn.get(name, True)]


def _files(own: ReportedRun, results: Path) -> dict[Path, Path]:
    """Return the files that make a run finished, each with the log of what writes it."""
    experiment = results / "experiments" / own.experiment
    run, logs = experiment / own.run, results / "logs"
    found = {
        run / name: logs / stage / own.experiment / f"{own.run}.log"
        for name, stage in OF_RUN.items()
    }
    if own.rolled_out:
        for name in ("rollouts.json", "rollouts.npz"):
            found[run / name] = logs / f"rollout/{own.experiment}/{own.run}.log"
    for name in own.evaluate_on:
        place = logs / f"evaluate/{own.experiment}/{own.run}/on/{name}.log"
        found[run / f"on/{name}/evaluation.json"] = place
    for name, stage in OF_EXPERIMENT.items():
        found[experiment / name] = logs / stage / f"{own.experiment}.log"
    return found


def _missing(own: ReportedRun, place: Path) -> Missing:
    if not place.is_file():
        return Missing(own.experiment, own.run, "waiting", "", "")
    lines = place.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(lines[-TAIL:])
    return Missing(own.experiment, own.run, "failed", place.as_posix(), tail)

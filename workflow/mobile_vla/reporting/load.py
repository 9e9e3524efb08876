"""Read the results that the report shows, by run, epoch and dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mobile_vla.audit.result import Audit
from mobile_vla.bundle.result import Certificate
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import FigureSettings, ReportedRun, ReportSettings
from mobile_vla.data.result import DatasetSplit, Manifest
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.language.result import LanguageResult
from mobile_vla.latency.result import LatencyResult
from mobile_vla.layout import (
    AuditFiles,
    CertificateFiles,
    ComparisonFiles,
    EvaluationFiles,
    LanguageFiles,
    LatencyFiles,
    ManifestFiles,
    OtherEvaluationFiles,
    RolloutFiles,
    SplitFiles,
    TimingFiles,
    TrainingFiles,
    TrialFiles,
)
from mobile_vla.reporting.measured import named
from mobile_vla.result import Result
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.timing.result import TimingResult
from mobile_vla.training.result import Epoch, TrainingResult, read_metrics
from mobile_vla.trials.result import TrialResult

# What decides which actions a run is scored on, beside the data themselves.
WINDOW_SETTINGS = ("window", "chunk", "stride", "target", "start", "tail")

Key = TypeVar("Key", bound=Hashable)
Content = TypeVar("Content", bound=Result)


@dataclass(frozen=True)
class Run:
    """A run of an experiment, with all that the report shows of it."""

    settings: ReportedRun
    label: str  # the experiment's name, with the run's where the experiment has several
    epochs: tuple[Epoch, ...]
    training: TrainingResult
    evaluation: EvaluationResult
    timing: TimingResult  # of the experiment, measured with its first run's settings
    language: LanguageResult
    latency: LatencyResult  # of the experiment, measured with its first run's policy
    rollouts: RolloutResult | None = None  # None where its dataset is not simulated
    certificates: tuple[Certificate, ...] = ()  # of its bundles
    members: tuple[EvaluationResult, ...] = ()  # on each dataset of its mixture by itself
    elsewhere: tuple[EvaluationResult, ...] = ()  # on other datasets, as `evaluate_on` lists them

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self.settings.experiment

    @property
    def run(self) -> str:
        """Name of the run within its experiment."""
        return self.settings.run

    @property
    def windowing(self) -> tuple[str, ...]:
        """The settings that decide how windows are cut, with their names."""
        return tuple(f"{key} {self.settings.settings.get(key)}" for key in WINDOW_SETTINGS)

    @property
    def population(self) -> tuple[object, ...]:
        """What was scored; errors of runs that differ in it must not be compared."""
        scored = self.evaluation
        data = (scored.dataset, scored.manifest, scored.split, scored.fold, scored.scored_on)
        counts = (scored.episodes, scored.windows, scored.steps)
        return (*data, scored.dimensions, *counts, *self.windowing)


@dataclass(frozen=True)
class EpochRow:
    """A line of the per-epoch table; losses in normalised units."""

    measured: Epoch
    change: float | None  # of the validation loss since the previous epoch, as a share of it
    cumulative: float | None  # the same since the first epoch
    gap: float | None  # validation less training loss
    best: bool  # whether this epoch's policy was kept as the best


@dataclass(frozen=True)
class DatasetFacts:
    """What the report shows of a dataset."""

    manifest: Manifest
    split: DatasetSplit
    audit: Audit


def grouped(runs: Sequence[Run], key: Callable[[Run], Key]) -> dict[Key, tuple[Run, ...]]:
    """Group runs of the same key, in the order of each group's first run."""
    groups: dict[Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return {value: tuple(group) for value, group in groups.items()}


def first_runs(runs: Sequence[Run]) -> list[Run]:
    """Return the first run of each experiment."""
    return [group[0] for group in grouped(runs, lambda run: run.experiment).values()]


def epoch_rows(epochs: Sequence[Epoch], best_epoch: int) -> list[EpochRow]:
    """Return a run's per-epoch table; the first epoch has nothing to compare with."""
    rows = []
    for index, epoch in enumerate(epochs):
        train, val = epoch.train_loss, epoch.val_loss
        rows.append(
            EpochRow(
                measured=epoch,
                change=_change(val, epochs[index - 1].val_loss) if index else None,
                cumulative=_change(val, epochs[0].val_loss) if index else None,
                gap=val - train if val is not None and train is not None else None,
                best=epoch.epoch == best_epoch,
            )
        )
    return rows


def _change(value: float | None, since: float | None) -> float | None:
    return (value - since) / since if value is not None and since else None


def load_runs(settings: ReportSettings, results: Path) -> tuple[Run, ...]:
    """Read the results of all runs.

    Raises:
        UserError: a file is missing, is not what the report reads, or belongs to another run.
    """
    if not settings.runs:
        raise UserError(
            "config.yaml (experiments): all of them are `timing_only`, and the report shows what "
            "was trained; ask for results/experiments/NAME/timing.html, or add an experiment"
        )
    timings, latencies = {}, {}
    for name in settings.experiments():
        timing = TimingFiles.below(results, experiment=name).timing
        timings[name] = _read(TimingResult, timing, results, name, "experiment")
        latency = LatencyFiles.below(results, experiment=name).latency
        latencies[name] = _read(LatencyResult, latency, results, name, "experiment")
    counts = Counter(run.experiment for run in settings.runs)
    return tuple(
        _load_run(
            run,
            f"{run.experiment} {run.run}" if counts[run.experiment] > 1 else run.experiment,
            timings[run.experiment],
            latencies[run.experiment],
            results,
        )
        for run in settings.runs
    )


def _load_run(
    run: ReportedRun, label: str, timing: TimingResult, latency: LatencyResult, results: Path
) -> Run:
    names = run.names()

    def read(kind: type[Content], path: Path) -> Content:
        return _read(kind, path, results, f"{run.experiment}/{run.run}", "experiment", "run")

    def score_on(dataset: str) -> EvaluationResult:
        path = OtherEvaluationFiles.below(results, **names, dataset=dataset).evaluation
        score = read(EvaluationResult, path)
        _check_owner(path, score.dataset, dataset)
        return score

    def certificate_of(precision: str) -> Certificate:
        path = CertificateFiles.below(results, **names, precision=precision).certificate
        certificate = read(Certificate, path)
        _check_owner(path, certificate.precision, precision)
        return certificate

    training = TrainingFiles.below(results, **names)
    rollouts = RolloutFiles.below(results, **names).rollouts
    return Run(
        settings=run,
        label=label,
        epochs=named(read_metrics(training.metrics), training.metrics, results),
        training=read(TrainingResult, training.results),
        evaluation=read(EvaluationResult, EvaluationFiles.below(results, **names).evaluation),
        timing=timing,
        language=read(LanguageResult, LanguageFiles.below(results, **names).language),
        latency=latency,
        rollouts=read(RolloutResult, rollouts) if run.rolled_out else None,
        certificates=tuple(map(certificate_of, run.bundles)),
        members=tuple(map(score_on, run.members)),
        elsewhere=tuple(map(score_on, run.evaluate_on)),
    )


def load_datasets(settings: FigureSettings, results: Path) -> tuple[DatasetFacts, ...]:
    """Read the files of all datasets; errors as for :func:`load_runs`."""
    datasets = []
    for name in settings.datasets:
        manifest = ManifestFiles.below(results, dataset=name).manifest
        split = SplitFiles.below(results, dataset=name).split
        datasets.append(
            DatasetFacts(
                _read(Manifest, manifest, results, name, "dataset"),
                _read(DatasetSplit, split, results, name, "dataset"),
                load_audit(name, results),
            )
        )
    return tuple(datasets)


def load_trials(settings: ReportSettings, results: Path) -> tuple[TrialResult, ...]:
    """Read what the trials prove; errors as for :func:`load_runs`."""
    return tuple(
        _read(TrialResult, TrialFiles.below(results, trial=name).trial, results, name, "trial")
        for name in settings.trials
    )


def load_audit(dataset: str, results: Path) -> Audit:
    """Read the audit of a dataset; errors as for :func:`load_runs`."""
    path = AuditFiles.below(results, dataset=dataset).report
    return _read(Audit, path, results, dataset, "dataset")


def load_scores(results: Path) -> ComparisonResult:
    """Read the comparison of all experiments."""
    path = ComparisonFiles.below(results).comparison
    return named(ComparisonResult.read(path), path, results)


def _read(kind: type[Content], path: Path, results: Path, owner: str, *names: str) -> Content:
    """Read a file whose fields of these names say whose it is; its numbers have names."""
    content = named(kind.read(path), path, results)
    _check_owner(path, "/".join(getattr(content, name) for name in names), owner)
    return content


def _check_owner(path: Path, owner: str, expected: str) -> None:
    if owner != expected:
        raise UserError(
            f"{path}: holds the results of {owner}, expected those of {expected}; "
            "remove it and run snakemake again"
        )

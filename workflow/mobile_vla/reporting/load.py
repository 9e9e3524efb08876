"""Read the results that the report shows, by run and by dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mobile_vla.audit.result import Audit
from mobile_vla.config.reporting import FigureSettings, ReportedRun, ReportSettings
from mobile_vla.data.result import DatasetSplit, Manifest
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.language.result import LanguageResult
from mobile_vla.latency.result import LatencyResult
from mobile_vla.layout import (
    AuditFiles,
    EvaluationFiles,
    LanguageFiles,
    LatencyFiles,
    ManifestFiles,
    OtherEvaluationFiles,
    RolloutFiles,
    SplitFiles,
    TimingFiles,
    TrainingFiles,
)
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.timing.result import TimingResult
from mobile_vla.training.result import Epoch, TrainingResult, read_metrics

# What decides which actions a run is scored on, beside the data themselves.
WINDOW_SETTINGS = ("window", "chunk", "stride", "target", "start", "tail")

OfRun = TypeVar("OfRun", TrainingResult, EvaluationResult, LanguageResult, RolloutResult)


@dataclass(frozen=True)
class Run:
    """A run of an experiment, with all that the report shows of it.

    Args:
        settings: the run's names and settings.
        label: the experiment's name, with the run's where the experiment has several.
        epochs: losses of each epoch.
        training: summary of the training.
        evaluation: the policy's errors beside the baselines'.
        timing: the experiment's timing, measured with its first run's settings.
        language: the policy's actions under other prompts.
        latency: the experiment's control step, timed with its first run's policy.
        rollouts: the policy in closed loop; None where its dataset is not simulated.
        elsewhere: the policy's errors on other datasets, in the order of ``evaluate_on``.
    """

    settings: ReportedRun
    label: str
    epochs: tuple[Epoch, ...]
    training: TrainingResult
    evaluation: EvaluationResult
    timing: TimingResult
    language: LanguageResult
    latency: LatencyResult
    rollouts: RolloutResult | None = None
    elsewhere: tuple[EvaluationResult, ...] = ()

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self.settings.experiment

    @property
    def run(self) -> str:
        """Name of the run within its experiment."""
        return self.settings.run

    @property
    def preset(self) -> str | None:
        """The preset that the experiment started from."""
        preset: str | None = self.settings.settings.get("preset")
        return preset

    @property
    def padded(self) -> bool:
        """Whether the head writes more than the velocities."""
        return self.training.padding is not None

    @property
    def population(self) -> tuple[object, ...]:
        """What was scored; errors of runs that differ in it must not be compared."""
        scored = self.evaluation
        windows = tuple(str(self.settings.settings.get(key)) for key in WINDOW_SETTINGS)
        data = (scored.dataset, scored.manifest, scored.split, scored.fold, scored.scored_on)
        counts = (scored.episodes, scored.windows, scored.steps)
        return (*data, scored.dimensions, *counts, *windows)


@dataclass(frozen=True)
class DatasetFacts:
    """What the report shows of a dataset."""

    manifest: Manifest
    split: DatasetSplit
    audit: Audit


def runs_with_ablation(runs: Sequence[Run]) -> list[Run]:
    """Return the first run of each experiment whose timing has an ablation."""
    first: dict[str, Run] = {}
    for run in runs:
        if run.timing.ablation:
            first.setdefault(run.experiment, run)
    return list(first.values())


def load_runs(settings: ReportSettings, results: Path) -> tuple[Run, ...]:
    """Read the results of all runs.

    Args:
        settings: the runs.
        results: the folder of all results.

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
        timings[name] = TimingResult.read(timing)
        _check_owner(timing, timings[name].experiment, name)
        latency = LatencyFiles.below(results, experiment=name).latency
        latencies[name] = LatencyResult.read(latency)
        _check_owner(latency, latencies[name].experiment, name)
    counts = Counter(run.experiment for run in settings.runs)
    runs = []
    for run in settings.runs:
        names, several = run.names(), counts[run.experiment] > 1
        training = TrainingFiles.below(results, **names)
        rollouts = RolloutFiles.below(results, **names).rollouts
        runs.append(
            Run(
                settings=run,
                label=f"{run.experiment} {run.run}" if several else run.experiment,
                epochs=read_metrics(training.metrics),
                training=_of_run(TrainingResult, training.results, run),
                evaluation=_of_run(
                    EvaluationResult, EvaluationFiles.below(results, **names).evaluation, run
                ),
                timing=timings[run.experiment],
                language=_of_run(
                    LanguageResult, LanguageFiles.below(results, **names).language, run
                ),
                latency=latencies[run.experiment],
                rollouts=_of_run(RolloutResult, rollouts, run) if run.rolled_out else None,
                elsewhere=tuple(_score_on(dataset, results, run) for dataset in run.evaluate_on),
            )
        )
    return tuple(runs)


def load_datasets(settings: FigureSettings, results: Path) -> tuple[DatasetFacts, ...]:
    """Read the files of all datasets.

    Raises:
        UserError: a file is missing, is not what the report reads, or is another dataset's.
    """
    datasets = []
    for name in settings.datasets:
        manifest = ManifestFiles.below(results, dataset=name).manifest
        split = SplitFiles.below(results, dataset=name).split
        facts = DatasetFacts(
            Manifest.read(manifest), DatasetSplit.read(split), load_audit(name, results)
        )
        _check_owner(manifest, facts.manifest.dataset, name)
        _check_owner(split, facts.split.dataset, name)
        datasets.append(facts)
    return tuple(datasets)


def load_audit(dataset: str, results: Path) -> Audit:
    """Read the audit of a dataset.

    Raises:
        UserError: the file is missing, is not what the report reads, or is another dataset's.
    """
    path = AuditFiles.below(results, dataset=dataset).report
    audit = Audit.read(path)
    _check_owner(path, audit.dataset, dataset)
    return audit


def _of_run(kind: type[OfRun], path: Path, run: ReportedRun) -> OfRun:
    """Read a file that says which run it is of."""
    content = kind.read(path)
    _check_owner(path, f"{content.experiment}/{content.run}", f"{run.experiment}/{run.run}")
    return content


def _score_on(dataset: str, results: Path, run: ReportedRun) -> EvaluationResult:
    path = OtherEvaluationFiles.below(results, **run.names(), dataset=dataset).evaluation
    score = _of_run(EvaluationResult, path, run)
    _check_owner(path, score.dataset, dataset)
    return score


def _check_owner(path: Path, owner: str, expected: str) -> None:
    if owner != expected:
        raise UserError(
            f"{path}: holds the results of {owner}, expected those of {expected}; "
            "remove it and run snakemake again"
        )

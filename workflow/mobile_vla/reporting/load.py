"""The report's inputs, brought together by run and by dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.audit.result import Audit
from mobile_vla.config.reporting import ReportedRun, ReportSettings
from mobile_vla.data.result import DatasetSplit, Manifest
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.language.result import LanguageResult
from mobile_vla.latency.result import LatencyResult
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.timing.result import TimingResult
from mobile_vla.training.result import Epoch, TrainingResult, read_metrics

# What decides which actions a run is scored on, beside the data themselves.
WINDOW_SETTINGS = ("window", "chunk", "stride", "target", "start", "tail")


@dataclass(frozen=True)
class Run:
    """One run of an experiment, with all that the report shows of it.

    Args:
        settings: what the run was given.
        label: the experiment's name, with the run's where the experiment has several.
        epochs: losses of each epoch.
        training: what training says of itself.
        evaluation: the policy's errors beside the baselines'.
        timing: the experiment's timing, measured with its first run's settings.
        language: what it does under other prompts.
        latency: the experiment's control step, timed with its first run's policy.
        rollouts: how it drives in closed loop; None where its dataset's world is not known.
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
        found: str | None = self.settings.settings.get("preset")
        return found

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


def experiments_of(settings: ReportSettings) -> list[str]:
    """Return the experiments in the order of their first run."""
    return list(dict.fromkeys(run.experiment for run in settings.runs))


def load_runs(
    settings: ReportSettings,
    *,
    metrics: Sequence[Path],
    results: Sequence[Path],
    evaluations: Sequence[Path],
    timings: Sequence[Path],
    languages: Sequence[Path],
    latencies: Sequence[Path],
    rollouts: Sequence[Path],
    elsewhere: Sequence[Path] = (),
) -> tuple[Run, ...]:
    """Read all runs' files.

    Args:
        settings: the report's settings.
        metrics: each run's ``metrics.csv``, in the order of the runs.
        results: each run's ``training_results.json``.
        evaluations: each run's ``evaluation.json``.
        timings: each experiment's ``timing.json``, in the order of the experiments' first runs.
        languages: each run's ``language.json``.
        latencies: each experiment's ``latency.json``.
        rollouts: the ``rollouts.json`` of each run that was rolled out.
        elsewhere: each run's ``evaluation.json`` on each dataset of its ``evaluate_on``.

    Raises:
        UserError: a file is missing, is not what the report reads, or belongs to another run.
    """
    if not settings.runs:
        raise UserError(
            "config.yaml (experiments): all of them are `timing_only`, and the report shows what "
            "was trained; ask for results/experiments/NAME/timing.html, or add an experiment"
        )
    names = experiments_of(settings)
    timed, steps = {}, {}
    for name, path, step in zip(names, timings, latencies, strict=True):
        timed[name], steps[name] = TimingResult.read(path), LatencyResult.read(step)
        _check_owner(path, timed[name].experiment, name)
        _check_owner(step, steps[name].experiment, name)
    reported = [run.experiment for run in settings.runs]
    others, driven = iter(elsewhere), iter(rollouts)
    runs = []
    for own, *paths in zip(settings.runs, metrics, results, evaluations, languages, strict=True):
        training, evaluation = TrainingResult.read(paths[1]), EvaluationResult.read(paths[2])
        name = f"{own.experiment}/{own.run}"
        _check_owner(paths[1], f"{training.experiment}/{training.run}", name)
        _check_owner(paths[2], f"{evaluation.experiment}/{evaluation.run}", name)
        language = LanguageResult.read(paths[3])
        _check_owner(paths[3], f"{language.experiment}/{language.run}", name)
        several = reported.count(own.experiment) > 1
        runs.append(
            Run(
                settings=own,
                label=f"{own.experiment} {own.run}" if several else own.experiment,
                epochs=read_metrics(paths[0]),
                training=training,
                evaluation=evaluation,
                timing=timed[own.experiment],
                language=language,
                latency=steps[own.experiment],
                rollouts=_driven(next(driven), name) if own.rolled_out else None,
                elsewhere=tuple(
                    _score_on(next(others), name, dataset) for dataset in own.evaluate_on
                ),
            )
        )
    return tuple(runs)


def _score_on(path: Path, run: str, dataset: str) -> EvaluationResult:
    found = EvaluationResult.read(path)
    _check_owner(path, f"{found.experiment}/{found.run}", run)
    _check_owner(path, found.dataset, dataset)
    return found


def load_datasets(
    settings: ReportSettings,
    *,
    manifests: Sequence[Path],
    splits: Sequence[Path],
    audits: Sequence[Path],
) -> tuple[DatasetFacts, ...]:
    """Read all datasets' files; the lists are in the order of ``settings.datasets``.

    Raises:
        UserError: a file is missing, is not what the report reads, or is another dataset's.
    """
    found = []
    for name, *paths in zip(settings.datasets, manifests, splits, audits, strict=True):
        facts = DatasetFacts(
            Manifest.read(paths[0]), DatasetSplit.read(paths[1]), Audit.read(paths[2])
        )
        owners = (facts.manifest.dataset, facts.split.dataset, facts.audit.dataset)
        for path, owner in zip(paths, owners, strict=True):
            _check_owner(path, owner, name)
        found.append(facts)
    return tuple(found)


def _driven(path: Path, name: str) -> RolloutResult:
    found = RolloutResult.read(path)
    _check_owner(path, f"{found.experiment}/{found.run}", name)
    return found


def _check_owner(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise UserError(
            f"{path}: holds the results of {found}, expected those of {expected}; "
            "remove it and run snakemake again"
        )

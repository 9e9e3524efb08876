"""All results that figures are drawn from, by run and by dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mobile_vla.audit.result import Audit
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.data.dataset import Dataset
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.layout import EvaluationFiles, ManifestFiles, RolloutFiles
from mobile_vla.reporting.load import WINDOW_SETTINGS, Run, load_audit
from mobile_vla.reporting.palette import color_of
from mobile_vla.reporting.selection import best_run
from mobile_vla.reporting.sweeps import SweepTable
from mobile_vla.reporting.texts import Texts

SHOWN = 8  # experiments that one figure draws: of more, those with the highest skill


@dataclass(frozen=True, eq=False)
class Material:
    """All that a figure may draw.

    Args:
        results: the folder of all results.
        runs: all runs, in the order of config.yaml.
        datasets: their names.
        scores: verdicts and differences.
        texts: the words, for captions and alternative texts.
        labels: the English words, for what stands in a figure: the font that comes with matplotlib
            has no Hangul, and a figure must not depend on the fonts of a machine.
        sweeps: the combinations of each sweep.
    """

    results: Path
    runs: tuple[Run, ...]
    datasets: tuple[str, ...]
    scores: ComparisonResult
    texts: Texts
    labels: Texts
    sweeps: tuple[SweepTable, ...] = ()

    @cached_property
    def experiments(self) -> list[str]:
        """Names of the experiments, in the order of their first run."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    @cached_property
    def shown(self) -> tuple[Run, ...]:
        """The runs that a figure of limited room draws: all, or those of the best experiments."""
        if len(self.experiments) <= SHOWN:
            return self.runs
        ranked: list[str] = []
        rest = list(self.runs)
        while rest and len(ranked) < SHOWN:
            name = best_run(rest).experiment
            ranked.append(name)
            rest = [run for run in rest if run.experiment != name]
        return tuple(run for run in self.runs if run.experiment in ranked)

    @property
    def left_out(self) -> str:
        """A sentence on the experiments that a figure leaves out; empty where there are none."""
        if len(self.experiments) <= SHOWN:
            return ""
        return self.texts("figure.left_out", shown=SHOWN, all=len(self.experiments))

    def color(self, run: Run) -> str:
        """Return the colour of a run's experiment."""
        return color_of(run.experiment, self.experiments)

    @cached_property
    def audits(self) -> tuple[Audit, ...]:
        """The audits of the datasets."""
        return tuple(load_audit(name, self.results) for name in self.datasets)

    @cached_property
    def loaded(self) -> tuple[Dataset, ...]:
        """The datasets with their actions."""
        return tuple(
            Dataset.load(files.manifest, files.actions)
            for files in (ManifestFiles.below(self.results, dataset=name) for name in self.datasets)
        )

    def dataset_of(self, scored: EvaluationResult) -> Dataset:
        """Return the dataset that a run was scored on."""
        return next(dataset for dataset in self.loaded if dataset.name == scored.dataset)

    def predictions_of(self, run: Run) -> Path:
        """Return a run's ``predictions.npz``."""
        return EvaluationFiles.below(self.results, **run.settings.names()).predictions

    def trajectories_of(self, run: Run) -> Path:
        """Return a run's ``rollouts.npz``."""
        return RolloutFiles.below(self.results, **run.settings.names()).paths


def comparable(runs: Sequence[Run]) -> dict[str, tuple[Run, ...]]:
    """Group runs whose errors mean the same: same data, windows and role, folds put together.

    Returns:
        The groups by a title: the dataset, with the windows where it has several groups.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        scored = run.evaluation
        windows = tuple(str(run.settings.settings.get(key)) for key in WINDOW_SETTINGS)
        data = (scored.dataset, scored.manifest, scored.split, scored.scored_on, scored.dimensions)
        groups.setdefault((*data, *windows), []).append(run)
    datasets = [group[0].evaluation.dataset for group in groups.values()]
    titled: dict[str, tuple[Run, ...]] = {}
    for group in groups.values():
        title = group[0].evaluation.dataset
        if datasets.count(title) > 1:
            settings = group[0].settings.settings
            title += ", " + ", ".join(f"{key} {settings.get(key)}" for key in ("window", "chunk"))
        while title in titled:
            title += " "
        titled[title] = tuple(group)
    return titled

"""All results that figures are drawn from, by run and by dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mobile_vla.comparison.result import ComparisonResult, ExperimentScores
from mobile_vla.data.dataset import Dataset
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.layout import EvaluationFiles, ManifestFiles
from mobile_vla.reporting.load import Run, grouped
from mobile_vla.reporting.palette import COLORS, color_of
from mobile_vla.reporting.selection import best_run
from mobile_vla.reporting.sweeps import SweepTable
from mobile_vla.texts import Texts
from mobile_vla.trials.result import TrialResult

SHOWN = 8  # experiments that one figure draws: of more, those with the highest skill
STROKES = ("-", "--", ":", "-.")


@dataclass(frozen=True, eq=False)
class Material:
    """All that a figure may draw."""

    results: Path  # the folder of all results
    runs: tuple[Run, ...]  # in the order of config.yaml
    datasets: tuple[str, ...]
    scores: ComparisonResult
    texts: Texts  # for captions and alternative texts
    labels: Texts  # for what stands in a figure: the same, or English where no font has the letters
    sweeps: tuple[SweepTable, ...] = ()
    chosen: str | None = None  # the experiment whose predictions are shown, by `report.example`
    trials: tuple[TrialResult, ...] = ()

    @cached_property
    def experiments(self) -> list[str]:
        """Names of the experiments, in the order of their first run."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    @cached_property
    def shown(self) -> tuple[Run, ...]:
        """The runs that a figure of limited room draws: all, or those of the best experiments."""
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

    def no_room_for(self, names: Sequence[str], drawn: int) -> str:
        """Return a sentence on the names after those that are drawn; empty where there are none."""
        if len(names) <= drawn:
            return ""
        left = ", ".join(names[drawn:])
        return self.texts("figure.no_room", shown=drawn, all=len(names), names=left)

    def example(self, among: Sequence[Run] | None = None) -> Run:
        """Return the run that figures of a single run show, of all or of some.

        It is the one with the highest skill, of the experiment that ``report.example`` names if
        that is among them.
        """
        runs = self.runs if among is None else among
        return best_run([run for run in runs if run.experiment == self.chosen] or runs)

    def why(self, shown: Run) -> str:
        """Return a sentence on why a run is shown; empty where there is no other."""
        if len(self.runs) == 1:
            return ""
        key = "chosen" if shown.experiment == self.chosen else "highest_skill"
        return self.texts(f"figure.{key}", run=shown.label)

    def color(self, of: Run | ExperimentScores) -> str:
        """Return the colour of an experiment."""
        return color_of(of.experiment, self.experiments)

    def line(self, run: Run) -> dict[str, Any]:
        """Return colour and stroke; the stroke distinguishes experiments of the same colour."""
        stroke = STROKES[self.experiments.index(run.experiment) // len(COLORS) % len(STROKES)]
        return {"color": self.color(run), "ls": stroke}

    @cached_property
    def loaded(self) -> tuple[Dataset, ...]:
        """The datasets with their actions; of a mixture its datasets."""
        return tuple(map(self._load, self.datasets))

    def _load(self, name: str) -> Dataset:
        files = ManifestFiles.below(self.results, dataset=name)
        return Dataset.load(files.manifest, files.actions)

    def dataset_of(self, scored: EvaluationResult) -> Dataset:
        """Return the dataset that a run was scored on."""
        known = (dataset for dataset in self.loaded if dataset.name == scored.dataset)
        return next(known, None) or self._load(scored.dataset)

    def predictions_of(self, run: Run) -> Path:
        """Return a run's ``predictions.npz``."""
        return EvaluationFiles.below(self.results, **run.settings.names()).predictions


def comparable(runs: Sequence[Run]) -> dict[str, tuple[Run, ...]]:
    """Group runs whose errors mean the same: same data, windows and role, folds put together.

    Returns:
        The groups by a title: the dataset, with the windows where it has several groups.
    """

    def meaning(run: Run) -> tuple[object, ...]:
        scored = run.evaluation
        data = (scored.dataset, scored.manifest, scored.split, scored.scored_on, scored.dimensions)
        return (*data, *run.windowing)

    groups = grouped(runs, meaning).values()
    datasets = [group[0].evaluation.dataset for group in groups]
    titled: dict[str, tuple[Run, ...]] = {}
    for group, title in zip(groups, datasets, strict=True):
        if datasets.count(title) > 1:
            title = ", ".join([title, *group[0].windowing[:2]])
        while title in titled:
            title += " "
        titled[title] = group
    return titled

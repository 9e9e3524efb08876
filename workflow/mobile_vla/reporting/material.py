"""What the figures and the page are made from: all results, by run and by dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.data.dataset import Dataset
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.reporting.load import WINDOW_SETTINGS, DatasetFacts, Run
from mobile_vla.reporting.palette import color_of
from mobile_vla.reporting.selection import best_run
from mobile_vla.reporting.sweeps import SweepTable
from mobile_vla.reporting.texts import Texts

SHOWN = 8  # experiments that one figure draws: of more, those with the highest skill


@dataclass(frozen=True, eq=False)
class Material:
    """What the report is about.

    Args:
        runs: all runs, in the order of config.yaml.
        datasets: all datasets.
        scores: verdicts and differences.
        texts: the words, for captions and alternative texts.
        labels: the English words, for what stands in a figure: the font that comes with matplotlib
            has no Hangul, and a figure must not depend on the fonts of a machine.
        predictions: each run's ``predictions.npz``.
        paths: the ``rollouts.npz`` of each run that was rolled out.
        actions: each dataset's ``actions.npy``.
        manifests: each dataset's ``manifest.json``; the frames lie beside it.
        sweeps: the combinations of each sweep.
    """

    runs: tuple[Run, ...]
    datasets: tuple[DatasetFacts, ...]
    scores: ComparisonResult
    texts: Texts
    labels: Texts
    predictions: tuple[Path, ...] = ()
    paths: tuple[Path, ...] = ()
    actions: tuple[Path, ...] = ()
    manifests: tuple[Path, ...] = ()
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
    def loaded(self) -> tuple[Dataset, ...]:
        """The datasets with their actions."""
        pairs = zip(self.manifests, self.actions, strict=True)
        return tuple(Dataset.load(manifest, actions) for manifest, actions in pairs)

    def dataset_of(self, scored: EvaluationResult) -> Dataset:
        """Return the dataset that a run was scored on."""
        return next(own for own in self.loaded if own.name == scored.dataset)

    def predictions_of(self, run: Run) -> Path:
        """Return a run's ``predictions.npz``."""
        return self.predictions[self.runs.index(run)]


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
    plain = [own[0].evaluation.dataset for own in groups.values()]
    found = {}
    for own in groups.values():
        title = own[0].evaluation.dataset
        if plain.count(title) > 1:
            settings = own[0].settings.settings
            title += ", " + ", ".join(f"{key} {settings.get(key)}" for key in ("window", "chunk"))
        while title in found:
            title += " "
        found[title] = tuple(own)
    return found

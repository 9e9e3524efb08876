"""Sweeps in the report: each combination's error and how long it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import NOT_MATCHED, Sweep
from mobile_vla.reporting.load import Run
from mobile_vla.statistics.result import MeanWithInterval


@dataclass(frozen=True)
class Point:
    """One combination.

    Args:
        experiment: its name.
        values: by swept setting, as text.
        mae: in raw command units; its seeds averaged and its folds put together.
        baseline: MAE of the best baseline on its own steps.
        windows: training windows of its first run.
        steps: optimiser steps of its first run.
    """

    experiment: str
    values: dict[str, str]
    mae: MeanWithInterval
    baseline: float
    windows: int
    steps: int


@dataclass(frozen=True)
class SweepTable:
    """The combinations of a sweep that finished.

    Args:
        name: the sweep's name.
        keys: the swept settings.
        points: in the order of the values as listed.
        alike: whether the errors are over the same steps of the same episodes.
        matched: whether all were to be trained for as many optimiser steps.
    """

    name: str
    keys: tuple[str, ...]
    points: tuple[Point, ...]
    alike: bool
    matched: bool

    @property
    def windows(self) -> list[int]:
        """The different numbers of training windows, rising."""
        return sorted({point.windows for point in self.points})

    @property
    def steps(self) -> list[int]:
        """The different numbers of optimiser steps, rising."""
        return sorted({point.steps for point in self.points})

    @property
    def may_match(self) -> bool:
        """Whether `match: optimizer_steps` could train all equally long."""
        return not set(self.keys) & set(NOT_MATCHED)

    @property
    def best(self) -> Point:
        """The combination with the lowest error, the first of equals."""
        return min(self.points, key=lambda point: point.mae.value)

    @property
    def worst(self) -> Point:
        """The combination with the highest error."""
        return max(self.points, key=lambda point: point.mae.value)

    def axis(self, key: str) -> list[str]:
        """Return the values of a swept setting, in the order as listed."""
        return list(dict.fromkeys(point.values[key] for point in self.points))


def sweep_tables(
    sweeps: Sequence[Sweep], runs: Sequence[Run], scores: ComparisonResult
) -> tuple[SweepTable, ...]:
    """Return a table for each sweep of which something finished.

    Errors are those on the steps that all experiments on the same data predict, where there are
    such; else each combination's own.
    """
    common = _common(scores)
    judged = {own.experiment: own for own in scores.experiments}
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.experiment, run)
    found = []
    for sweep in sweeps:
        members = [one for one in sweep.members if one.experiment in first]
        groups = {common[one.experiment][0] for one in members if one.experiment in common}
        alike = len(groups) == 1 and all(one.experiment in common for one in members)
        points = [
            Point(
                experiment=one.experiment,
                values={key: value_text(value) for key, value in one.values.items()},
                mae=common[one.experiment][1] if alike else judged[one.experiment].mae,
                baseline=judged[one.experiment].best_baseline.mae,
                windows=first[one.experiment].training.windows["train"],
                steps=first[one.experiment].training.steps,
            )
            for one in members
        ]
        if points:
            matched = sweep.match == "optimizer_steps"
            found.append(SweepTable(sweep.name, sweep.keys, tuple(points), alike, matched))
    return tuple(found)


def _common(scores: ComparisonResult) -> dict[str, tuple[int, MeanWithInterval]]:
    """Return by experiment its group's number and its error on the group's common steps."""
    return {
        member.experiment: (index, member.mae)
        for index, group in enumerate(scores.groups)
        for member in group.experiments
        if member.mae is not None
    }


def value_text(value: Any) -> str:
    """Return a swept value as it would stand in config.yaml."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {value_text(own)}" for key, own in value.items())
    return "null" if value is None else str(value)

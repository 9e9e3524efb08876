"""Sweeps in the report: each combination's error and how long it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import NOT_MATCHED, Sweep
from mobile_vla.reporting.load import Run, first_runs
from mobile_vla.statistics.result import MeanWithInterval


@dataclass(frozen=True)
class Point:
    """One combination of a sweep; errors in command units."""

    experiment: str
    values: dict[str, str]  # by swept setting, as text
    mae: MeanWithInterval  # its seeds averaged and its folds put together
    baseline: float  # MAE of the best baseline on its own steps
    windows: int  # training windows of its first run
    steps: int  # optimiser steps of its first run


@dataclass(frozen=True)
class SweepTable:
    """The combinations of a sweep that finished."""

    name: str
    keys: tuple[str, ...]  # the swept settings
    points: tuple[Point, ...]  # in the order of the values as listed
    alike: bool  # whether the errors are over the same steps of the same episodes
    matched: bool  # whether all were to be trained for as many optimiser steps

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
    common = {  # by experiment its group's number, and its error on the group's common steps
        member.experiment: (index, member.mae)
        for index, group in enumerate(scores.groups)
        for member in group.experiments
        if member.mae is not None
    }
    judged = {own.experiment: own for own in scores.experiments}
    first = {run.experiment: run.training for run in first_runs(runs)}
    tables = []
    for sweep in sweeps:
        members = {own.experiment: own for own in sweep.members if own.experiment in first}
        groups = {common[name][0] for name in members if name in common}
        alike = len(groups) == 1 and all(name in common for name in members)
        points = [
            Point(
                experiment=name,
                values={key: _value_text(value) for key, value in member.values.items()},
                mae=common[name][1] if alike else judged[name].mae,
                baseline=judged[name].best_baseline.mae,
                windows=first[name].windows["train"],
                steps=first[name].steps,
            )
            for name, member in members.items()
        ]
        if points:
            matched = sweep.match == "optimizer_steps"
            tables.append(SweepTable(sweep.name, sweep.keys, tuple(points), alike, matched))
    return tuple(tables)


def _value_text(value: Any) -> str:
    """Return a swept value as it would stand in config.yaml."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value_text(each)}" for key, each in value.items())
    return "null" if value is None else str(value)

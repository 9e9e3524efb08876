"""The errors of policies and baselines on the same steps, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.selection import baselines_of
from mobile_vla.reporting.texts import Texts

UNITS = {"mae": "command_units", "rmse": "command_units", "mse": "command_units_squared"}


@dataclass(frozen=True)
class ErrorRow:
    """A policy's or a baseline's errors.

    Args:
        experiment: the policy's experiment; None for a baseline.
        cells: each value as text, and whether it is the lowest of its column.
    """

    label: str
    experiment: str | None
    cells: list[tuple[str, bool]]


@dataclass(frozen=True)
class ErrorTable:
    """A table of errors that may be compared with each other.

    Args:
        scored: what they were scored on, with its numbers.
        metrics: each metric's name, unit, and number of columns.
        columns: ``overall`` and the dimensions, for each metric.
        rows: policies, then baselines.
    """

    scored: EvaluationResult
    metrics: list[tuple[str, str, int]]
    columns: list[str]
    rows: list[ErrorRow]


def error_table(runs: Sequence[Run], t: Texts) -> ErrorTable:
    """Return the table of runs that were scored on the same steps."""
    scored = runs[0].evaluation
    keys = [(metric, name) for metric in UNITS for name in ("overall", *scored.dimensions)]
    found = [(run.label, run.experiment, run.evaluation.policy) for run in runs]
    others = [(name, None, errors) for name, errors in baselines_of(runs, t).items()]
    lines = [*found, *others]
    lowest = {key: min(errors.of(key[0])[key[1]] for _, _, errors in lines) for key in keys}
    rows = []
    for label, experiment, errors in lines:
        values = {key: errors.of(key[0])[key[1]] for key in keys}
        cells = [(number(value), value == lowest[key]) for key, value in values.items()]
        rows.append(ErrorRow(label, experiment, cells))
    return ErrorTable(
        scored=scored,
        metrics=[(name.upper(), unit, 1 + len(scored.dimensions)) for name, unit in UNITS.items()],
        columns=[name for _, name in keys],
        rows=rows,
    )

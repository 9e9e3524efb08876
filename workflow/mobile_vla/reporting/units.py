"""Errors in metres or radians a second, where a dataset says what its commands are."""

from __future__ import annotations

from collections.abc import Mapping

from mobile_vla.config.units import Units, unit_of
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.reporting.format import GLUE, number

METRICS = ("mae", "rmse")
"""Metrics in the unit of a command."""


def in_units(
    scored: EvaluationResult, units: Mapping[str, Units], metric: str, name: str, value: float
) -> tuple[float, str] | None:
    """Return an error in the units of the dataset that was scored, with the unit.

    None where the dataset does not say its units, for a metric in another unit than a command's,
    and for ``overall`` where the dimensions have different ones.

    Args:
        units: by dataset, what one recorded unit of a command is in each dimension.
        metric: such as ``mae``.
        name: a dimension, or ``overall``.
        value: the error in command units.
    """
    said: dict[str, str] = dict(units.get(scored.dataset, {}).items())
    names = scored.dimensions if name == "overall" else (name,)
    if metric not in METRICS or not all(own in said for own in names):
        return None
    of_unit = {own: unit_of(said[own]) for own in names}
    each = {(scored.recorded_units[own] * factor, unit) for own, (factor, unit) in of_unit.items()}
    if len(each) > 1:
        return None
    factor, unit = each.pop()
    return value * factor, unit


def text_in_units(
    scored: EvaluationResult, units: Mapping[str, Units], metric: str, name: str, value: float
) -> str:
    """Return what :func:`in_units` returns as the page shows it; nothing for None."""
    found = in_units(scored, units, metric, name, value)
    return "" if found is None else f"{number(found[0])}{GLUE}{found[1]}"


def listed_units(units: Units) -> str:
    """Return what one unit of a command is, for each dimension: ``linear_x 0.2 m/s``."""
    parts = ((name, *unit_of(text)) for name, text in units.items())
    return ", ".join(f"{name} {factor:g} {unit}" for name, factor, unit in parts)

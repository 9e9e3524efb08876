"""Experiments side by side: a table of the settings in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mobile_vla.files import canonical_json
from mobile_vla.reporting.format import MISSING
from mobile_vla.reporting.load import Run


@dataclass(frozen=True)
class SettingsTable:
    """A table with a line for each experiment.

    Args:
        columns: dotted names of the settings that differ.
        rows: each experiment's name and its values, as text.
        shared: the settings that are the same in all, with their value.
    """

    columns: list[str]
    rows: list[tuple[str, list[str]]]
    shared: list[tuple[str, str]]


def settings_table(runs: Sequence[Run]) -> SettingsTable:
    """Return the table of the experiments' settings, except for their seeds."""
    flat: dict[str, dict[str, Any]] = {}
    for run in runs:
        flat.setdefault(run.experiment, _flatten(run.settings.settings))
    names = list(dict.fromkeys(name for settings in flat.values() for name in settings))
    differing = [
        name
        for name in names
        if len({canonical_json(one[name]) if name in one else None for one in flat.values()}) > 1
    ]
    first = next(iter(flat.values()))
    return SettingsTable(
        columns=differing,
        rows=[(name, [_text(values, key) for key in differing]) for name, values in flat.items()],
        shared=[(name, _text(first, name)) for name in names if name not in differing],
    )


def _flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _text(settings: dict[str, Any], name: str) -> str:
    """Return a setting as a reader of config.yaml would write it."""
    if name not in settings:
        return MISSING
    value = settings[name]
    if value is None or value == {} or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)

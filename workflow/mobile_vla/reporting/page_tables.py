"""Tables of the page: settings that differ, errors beside baselines', origins of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mobile_vla.config.units import Units
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.files import canonical_json
from mobile_vla.provenance.record import Provenance
from mobile_vla.reporting.format import aligned, whole
from mobile_vla.reporting.load import Run, first_runs
from mobile_vla.reporting.selection import baselines_of
from mobile_vla.reporting.units import text_in_units
from mobile_vla.texts import MISSING, Texts

COMMIT_DIGITS = 10
LONGEST = 2000  # characters of a command or of settings: some name a thousand episodes
INPUTS = 12  # files that are named with their digests
UNITS = {"mae": "command_units", "rmse": "command_units", "mse": "command_units_squared"}


@dataclass(frozen=True)
class SettingsRow:
    """An experiment's line."""

    experiment: str
    values: list[str]  # as text, in the order of the columns
    trained: int  # parameters
    share: float  # of the policy's parameters
    note: str  # empty where the experiment has none


@dataclass(frozen=True)
class SettingsTable:
    """A table with a line for each experiment."""

    columns: list[str]  # dotted names of the settings that differ
    rows: list[SettingsRow]
    shared: list[tuple[str, str]]  # the settings that are the same in all, with their value


def settings_table(runs: Sequence[Run], notes: Mapping[str, str]) -> SettingsTable:
    """Return the table of the experiments' settings, except for their seeds.

    Args:
        notes: why experiments are there, by name.
    """
    firsts = first_runs(runs)
    flat = {run.experiment: _flatten(run.settings.settings) for run in firsts}
    names = list(dict.fromkeys(name for settings in flat.values() for name in settings))
    differing = [
        name
        for name in names
        if len({canonical_json(own[name]) if name in own else None for own in flat.values()}) > 1
    ]
    first = next(iter(flat.values()))
    return SettingsTable(
        columns=differing,
        rows=[
            SettingsRow(
                experiment=run.experiment,
                values=[_text(flat[run.experiment], key) for key in differing],
                trained=run.training.parameters.trainable_total,
                share=run.training.parameters.share,
                note=notes.get(run.experiment, ""),
            )
            for run in firsts
        ],
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


@dataclass(frozen=True)
class ErrorRow:
    """A policy's or a baseline's errors."""

    label: str
    experiment: str | None  # None for a baseline
    cells: list[ErrorCell]


@dataclass(frozen=True)
class ErrorCell:
    """An error."""

    value: float  # in command units
    text: str  # with as many digits as its column
    lowest: bool  # of its column
    physical: str  # in metres or radians a second; empty where the dataset does not say its units


@dataclass(frozen=True)
class ErrorTable:
    """Errors on the same steps: of policies, then of baselines."""

    scored: EvaluationResult
    metrics: list[tuple[str, str, int]]  # each metric's name, unit, and number of columns
    columns: list[str]  # ``overall`` and the dimensions, for each metric
    rows: list[ErrorRow]


def error_table(runs: Sequence[Run], t: Texts, units: Mapping[str, Units]) -> ErrorTable:
    """Return the table of runs that were scored on the same steps.

    Args:
        units: by dataset, what one unit of a command is.
    """
    scored = runs[0].evaluation
    columns = ["overall", *scored.dimensions]
    lines = [
        *((run.label, run.experiment, run.evaluation.policy) for run in runs),
        *((name, None, errors) for name, errors in baselines_of(runs, t).items()),
    ]
    places = [(metric, name) for metric in UNITS for name in columns]
    values = [[errors.of(metric)[name] for metric, name in places] for *_, errors in lines]
    by_column = [list(column) for column in zip(*values, strict=True)]
    lowest = [min(column) for column in by_column]
    shown = zip(*map(aligned, by_column), strict=True)
    return ErrorTable(
        scored=scored,
        metrics=[(name.upper(), unit, len(columns)) for name, unit in UNITS.items()],
        columns=columns * len(UNITS),
        rows=[
            ErrorRow(
                label,
                experiment,
                [
                    ErrorCell(
                        value, each, value == low, text_in_units(scored, units, *place, value)
                    )
                    for each, place, value, low in zip(texts, places, row, lowest, strict=True)
                ],
            )
            for (label, experiment, _), row, texts in zip(lines, values, shown, strict=True)
        ],
    )


@dataclass(frozen=True)
class Origin:
    """A line of the provenance table: a job, and as text what the table says of it."""

    job: Provenance
    result: str
    commit: str | None
    dirty: bool
    machine: str
    started: str
    finished: str
    command: str
    settings: str
    inputs: list[str]
    versions: list[str]


def origin(path: Path, t: Texts) -> Origin:
    """Read one provenance file."""
    job = Provenance.read(path)
    threads = t.count(job.threads, "thread") if job.threads else None
    machine = [part for part in (job.host, job.device, threads, f"Python {job.python}") if part]
    shown = path.name if path.is_absolute() else path.as_posix()  # no machine's folders
    return Origin(
        job=job,
        result=shown.removesuffix(".provenance.json"),
        commit=job.git.commit[:COMMIT_DIGITS] if job.git else None,
        dirty=job.git is not None and job.git.dirty,
        machine=", ".join(machine),
        started=_moment(job.started),
        finished=_moment(job.finished),
        command=_clipped(job.command, t),
        settings=_clipped(canonical_json(job.settings), t) if job.settings else "",
        inputs=_inputs(job.inputs, t),
        versions=[f"{name} {version}" for name, version in job.versions.items() if version],
    )


def origin_summary(origins: Sequence[Origin], t: Texts) -> tuple[str, bool]:
    """Return a sentence on where the results come from, and whether it is a warning."""
    dirty = sum(origin.dirty for origin in origins)
    commits = list(dict.fromkeys(origin.commit for origin in origins))
    jobs = t.count(len(origins), "job")
    if dirty:
        return t("provenance.dirty", dirty=dirty, jobs=jobs), True
    if commits == [None]:
        return t("provenance.none", jobs=jobs), True
    if len(commits) == 1:
        return t("provenance.one", commit=commits[0], jobs=jobs), False
    known = ", ".join(commit or t("provenance.not_known") for commit in commits)
    return t("provenance.several", jobs=jobs, n=len(commits), commits=known), False


def _inputs(digests: dict[str, str], t: Texts) -> list[str]:
    """Return the input files with the beginnings of their SHA-256; of many the first."""
    first = list(digests.items())[:INPUTS]
    lines = [f"{digest[: COMMIT_DIGITS + 2]}  {name}" for name, digest in first]
    if len(digests) > INPUTS:
        lines.append(t("provenance.more", n=len(digests) - INPUTS).strip())
    return lines


def _clipped(text: str, t: Texts) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… {t('provenance.clipped', characters=whole(len(text)))}"


def _moment(text: str) -> str:
    """Return an ISO time as ``2025-11-20 09:12:44 UTC``; other text stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".strip()

"""Where each result comes from: commit, versions, machine, command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mobile_vla.files import canonical_json
from mobile_vla.reporting.format import MISSING, count, duration, whole
from mobile_vla.reporting.records import Provenance

COMMIT_DIGITS = 10
LONGEST = 2000  # characters of a command or of settings: some name a thousand episodes


@dataclass(frozen=True)
class Origin:
    """A line of the provenance table, and what lies behind it; all as text."""

    stage: str
    outputs: list[str]
    commit: str
    dirty: bool
    machine: str
    started: str
    finished: str
    took: str
    command: str
    settings: str
    versions: list[str]
    code: list[str]


def origin(path: Path) -> Origin:
    """Read one provenance file.

    Raises:
        UserError: the file is missing or is not what the report reads.
    """
    found = Provenance.read(path)
    commit = found.git.commit if found.git else None
    threads = count(found.threads, "thread") if found.threads else None
    python = f"Python {found.python}" if found.python else None
    machine = [part for part in (found.host, found.device, threads, python) if part]
    return Origin(
        stage=found.stage,
        outputs=found.outputs or [_result(path)],
        commit=commit[:COMMIT_DIGITS] if commit else "not known",
        dirty=bool(found.git and found.git.dirty),
        machine=", ".join(machine) or MISSING,
        started=_moment(found.started),
        finished=_moment(found.finished),
        took=duration(found.seconds),
        command=_clipped(found.command or MISSING),
        settings=_clipped(canonical_json(found.settings)) if found.settings else "",
        versions=[
            f"{name} {version}" for name, version in (found.versions or {}).items() if version
        ],
        code=found.code or [],
    )


def summary(origins: Sequence[Origin]) -> tuple[str, bool]:
    """Return a sentence on where the results come from, and whether it is a warning."""
    dirty = sum(own.dirty for own in origins)
    commits = list(dict.fromkeys(own.commit for own in origins))
    jobs = count(len(origins), "job")
    if dirty:
        return (
            f"{dirty} of {jobs} ran from a dirty tree: files differed from the commit, so the "
            "commit alone does not say what made these results.",
            True,
        )
    if commits == ["not known"]:
        return f"No commit is known of {jobs}: they did not run in a git checkout.", True
    if len(commits) == 1:
        return f"All results come from commit {commits[0]}, without local changes ({jobs}).", False
    return f"The results of {jobs} come from {len(commits)} commits: {', '.join(commits)}.", False


def _result(path: Path) -> str:
    """Return the results' common name from that of their provenance, never an absolute one."""
    shown = path.name if path.is_absolute() else path.as_posix()
    return shown.removesuffix(".provenance.json")


def _clipped(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… ({whole(len(text))} characters; the provenance file has them all)"


def _moment(text: str | None) -> str:
    """Return an ISO time as ``2025-11-20 09:12:44 UTC``; as it is where it is none."""
    if text is None:
        return MISSING
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".strip()

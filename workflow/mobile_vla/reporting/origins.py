"""Where each result comes from: commit, versions, machine, command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mobile_vla.files import canonical_json
from mobile_vla.reporting.format import MISSING, duration, whole
from mobile_vla.reporting.records import Provenance
from mobile_vla.reporting.texts import Texts

COMMIT_DIGITS = 10
LONGEST = 2000  # characters of a command or of settings: some name a thousand episodes
INPUTS = 12  # files that are named with their digests


@dataclass(frozen=True)
class Origin:
    """A line of the provenance table, and what lies behind it; all as text."""

    stage: str
    outputs: list[str]
    commit: str | None
    dirty: bool
    machine: str
    started: str
    finished: str
    seconds: float | None
    took: str
    command: str
    settings: str
    inputs: list[str]
    versions: list[str]
    code: list[str]


def origin(path: Path, t: Texts) -> Origin:
    """Read one provenance file.

    Raises:
        UserError: the file is missing or is not what the report reads.
    """
    found = Provenance.read(path)
    commit = found.git.commit if found.git else None
    threads = t.count(found.threads, "thread") if found.threads else None
    python = f"Python {found.python}" if found.python else None
    machine = [part for part in (found.host, found.device, threads, python) if part]
    return Origin(
        stage=found.stage,
        outputs=found.outputs or [_result(path)],
        commit=commit[:COMMIT_DIGITS] if commit else None,
        dirty=bool(found.git and found.git.dirty),
        machine=", ".join(machine) or MISSING,
        started=_moment(found.started),
        finished=_moment(found.finished),
        seconds=found.seconds,
        took=duration(found.seconds),
        command=_clipped(found.command or MISSING, t),
        settings=_clipped(canonical_json(found.settings), t) if found.settings else "",
        inputs=_inputs(found.inputs or {}, t),
        versions=[
            f"{name} {version}" for name, version in (found.versions or {}).items() if version
        ],
        code=found.code or [],
    )


def summary(origins: Sequence[Origin], t: Texts) -> tuple[str, bool]:
    """Return a sentence on where the results come from, and whether it is a warning."""
    dirty = sum(own.dirty for own in origins)
    commits = list(dict.fromkeys(own.commit for own in origins))
    jobs = t.count(len(origins), "job")
    if dirty:
        return t("provenance.dirty", dirty=dirty, jobs=jobs), True
    if commits == [None]:
        return t("provenance.none", jobs=jobs), True
    if len(commits) == 1:
        return t("provenance.one", commit=commits[0], jobs=jobs), False
    known = ", ".join(commit or t("provenance.not_known") for commit in commits)
    return t("provenance.several", jobs=jobs, n=len(commits), commits=known), False


def _inputs(digests: dict[str, str | None], t: Texts) -> list[str]:
    """Return the input files with the beginnings of their SHA-256; of many the first."""
    lines = [
        f"{(digest or MISSING)[: COMMIT_DIGITS + 2]}  {name}"
        for name, digest in list(digests.items())[:INPUTS]
    ]
    if len(digests) > INPUTS:
        lines.append(t("provenance.more", n=len(digests) - INPUTS).strip())
    return lines


def _result(path: Path) -> str:
    """Return the results' common name from that of their provenance, never an absolute one."""
    shown = path.name if path.is_absolute() else path.as_posix()
    return shown.removesuffix(".provenance.json")


def _clipped(text: str, t: Texts) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… {t('provenance.clipped', characters=whole(len(text)))}"


def _moment(text: str | None) -> str:
    """Return an ISO time as ``2025-11-20 09:12:44 UTC``; as it is where it is none."""
    if text is None:
        return MISSING
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".strip()

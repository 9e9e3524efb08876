"""Lay out where each result comes from: commit, versions, machine, command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mobile_vla.files import canonical_json
from mobile_vla.provenance.record import Provenance
from mobile_vla.reporting.format import duration, whole
from mobile_vla.reporting.texts import Texts

COMMIT_DIGITS = 10
LONGEST = 2000  # characters of a command or of settings: some name a thousand episodes
INPUTS = 12  # files that are named with their digests


@dataclass(frozen=True)
class Origin:
    """A line of the provenance table, and what lies behind it; all as text."""

    stage: str
    result: str
    commit: str | None
    dirty: bool
    machine: str
    started: str
    finished: str
    seconds: float
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
    job = Provenance.read(path)
    threads = t.count(job.threads, "thread") if job.threads else None
    machine = [part for part in (job.host, job.device, threads, f"Python {job.python}") if part]
    return Origin(
        stage=job.stage,
        result=_result(path),
        commit=job.git.commit[:COMMIT_DIGITS] if job.git else None,
        dirty=job.git is not None and job.git.dirty,
        machine=", ".join(machine),
        started=_moment(job.started),
        finished=_moment(job.finished),
        seconds=job.seconds,
        took=duration(job.seconds),
        command=_clipped(job.command, t),
        settings=_clipped(canonical_json(job.settings), t) if job.settings else "",
        inputs=_inputs(job.inputs, t),
        versions=[f"{name} {version}" for name, version in job.versions.items() if version],
        code=job.code,
    )


def summary(origins: Sequence[Origin], t: Texts) -> tuple[str, bool]:
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
    lines = [
        f"{digest[: COMMIT_DIGITS + 2]}  {name}" for name, digest in list(digests.items())[:INPUTS]
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


def _moment(text: str) -> str:
    """Return an ISO time as ``2025-11-20 09:12:44 UTC``; other text stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".strip()

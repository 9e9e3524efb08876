"""Print what would run as a table, with reasons in words and the time that it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.filesets import RESULTS
from mobile_vla.layout import FigureFiles, ReportFiles, TableFiles
from mobile_vla.planning.estimate import Estimator, Source
from mobile_vla.planning.jobs import (
    KINDS,
    PlannedJob,
    planned_jobs,
    recorded,
    rules_of_the_project,
)
from mobile_vla.planning.reasons import counted, reasons
from mobile_vla.progress import duration

MOST = 5  # reasons in a line, and files that are listed
FROM: dict[Source, str] = {
    "own": "by their last runs",
    "timing": "by the experiment's timing",
    "others": "by other runs of the same rule",
}


@dataclass(frozen=True)
class PlanLine:
    """A line of the table."""

    subject: str
    jobs: int
    seconds: float
    unknown: int  # jobs that no earlier run tells the time of
    reasons: tuple[str, ...]

    @property
    def time(self) -> str:
        """How long its jobs take, one after another; with ``?`` it is more."""
        if self.unknown == self.jobs:
            return "?"
        return duration(self.seconds) + (" + ?" if self.unknown else "")


def plan() -> None:
    """Print what ``snakemake -n`` would run, with the reasons in words and the time it takes.

    Raises:
        SystemExit: Snakemake refused; it has said why.
    """
    jobs = planned_jobs(*rules_of_the_project())
    print("\n\n".join([table(jobs), *_listed(gone(jobs))]))


def gone(jobs: Sequence[PlannedJob]) -> list[str]:
    """Return results that the finished report was made of, and that are not there any more.

    Snakemake makes a result again only where a job that is to run reads it.
    """
    if not ReportFiles.below().report.exists():
        return []
    made = {path for job in jobs for path in job.outputs}
    read: set[str] = set()
    for path in (kind.provenance() for kind in (ReportFiles, FigureFiles, TableFiles)):
        if str(path) not in made:
            last = recorded(path)
            read |= {str(path), *(last.inputs if last else ())}
    ours = f"{RESULTS}/"
    return sorted(path for path in read - made if path.startswith(ours) and not Path(path).exists())


def _listed(paths: Sequence[str]) -> list[str]:
    """Return a paragraph on results that are gone, if there are any."""
    if not paths:
        return []
    lines = [*paths[:MOST], *([f"and {len(paths) - MOST} more"] if len(paths) > MOST else [])]
    return [
        "gone, though the report was made of it, and planned by no job:\n"
        + "".join(f"  {line}\n" for line in lines)
        + f"`snakemake --cores 1 {paths[0]}` makes one again"
    ]


def table(jobs: Sequence[PlannedJob]) -> str:
    """Return planned jobs as a table, a line for each thing that they belong to."""
    if not jobs:
        return "nothing to do: the report is up to date"
    subjects: dict[tuple[str, str], list[PlannedJob]] = {}
    for job in jobs:
        subjects.setdefault(job.subject, []).append(job)
    made = {path: job.subject for job in jobs for path in job.outputs}
    estimator, sources = Estimator(), Counter[str]()
    lines: list[PlanLine] = []
    for kind, name in sorted(subjects, key=lambda subject: (KINDS.index(subject[0]), subject[1])):
        members = subjects[kind, name]
        estimates = [estimator.seconds(job) for job in members]
        known = [estimate for estimate in estimates if estimate is not None]
        sources.update(FROM[source] for _, source in known)
        lines.append(
            PlanLine(
                subject=f"{kind} {name}".strip(),
                jobs=len(members),
                seconds=sum(seconds for seconds, _ in known),
                unknown=len(members) - len(known),
                reasons=_said(members, made),
            )
        )
    total = PlanLine(
        "total",
        len(jobs),
        sum(line.seconds for line in lines),
        sum(line.unknown for line in lines),
        (),
    )
    return f"{_aligned([*lines, total])}\n\n{_explained(sources, total.unknown)}"


def _said(jobs: Sequence[PlannedJob], made: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    """Return the reasons of a line, the last of them what it follows."""
    own = reasons(jobs)
    if own == ["new"]:
        return ("new",)
    if len(own) > MOST:
        own = [*own[:MOST], f"{len(own) - MOST} more reasons"]
    followed = {made[path] for job in jobs for path in job.inputs if path in made}
    before: dict[str, list[str]] = {}
    for kind, name in sorted(followed - {jobs[0].subject}):
        before.setdefault(kind, []).append(name)
    if before:
        listed = [
            f"{kind} {names[0]}" if len(names) == 1 else counted(len(names), kind)
            for kind, names in sorted(before.items(), key=lambda item: KINDS.index(item[0]))
        ]
        own.append(f"follows {', '.join(listed)}")
    return tuple(own)


def _aligned(lines: Sequence[PlanLine]) -> str:
    """Return the lines in columns."""
    rows = [("", "jobs", "time", "why")]
    rows += [(line.subject, str(line.jobs), line.time, "; ".join(line.reasons)) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{subject:<{widths[0]}}  {jobs:>{widths[1]}}  {time:>{widths[2]}}  {why}".rstrip()
        for subject, jobs, time, why in rows
    )


def _explained(sources: Counter[str], unknown: int) -> str:
    """Return from what the times are known."""
    parts = [f"{counted(count, 'job')} {words}" for words, count in sources.most_common()]
    if unknown:
        parts.append(f"{counted(unknown, 'job')} unknown")
    return f"times: one job after another; {', '.join(parts)}"

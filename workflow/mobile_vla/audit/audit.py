"""The stage ``audit``: check all episodes of a dataset, and report what is wrong or odd."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.audit.coverage import coverage, statistics
from mobile_vla.audit.dataset_checks import SET_CHECKS, prompts, short_episodes, window_yields
from mobile_vla.audit.findings import in_order, of_dataset
from mobile_vla.audit.flags import flagged, inspect, usable
from mobile_vla.audit.page import render_page, thumbnails
from mobile_vla.audit.result import Audit, Finding, FindingTotals, WindowYield
from mobile_vla.config.audit import AuditSettings
from mobile_vla.files import write_text
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import AuditFiles

WIDTH = 160  # characters of a finding

log = logging.getLogger(__name__)


def audit(settings: AuditSettings, outputs: AuditFiles, *, facts: list[Path]) -> None:
    """Check all episodes of a dataset and report everything that is wrong or odd.

    Findings never stop the workflow; ``manifest`` decides what is used.

    Args:
        facts: ``EPISODE.json`` of every episode, in any order, with its ``EPISODE.npy`` beside it.
    """
    read = sorted(
        ((EpisodeFacts.read(path), path) for path in facts), key=lambda pair: pair[0].episode
    )
    every = [content for content, _ in read]
    frames = {content.episode: path.with_suffix(".npy") for content, path in read}
    assessed = assess(every, settings)
    sound = len(usable(every))
    counts = Counter(
        finding.severity if finding.accepted is None else "accepted"
        for finding in assessed.findings
    )
    report = Audit(
        dataset=settings.dataset,
        episodes=len(every),
        totals=FindingTotals(**{name: counts[name] for name in FindingTotals.model_fields}),
        findings=tuple(assessed.findings),
        windows=tuple(assessed.windows),
        coverage=tuple(coverage(assessed.used)),
        statistics=statistics(
            assessed.used, rejected=len(every) - sound, flagged=sound - len(assessed.used)
        ),
        thumbnails=tuple(thumbnails(assessed.findings, assessed.used, frames)),
    )
    report.write(outputs.report)
    write_text(outputs.page, render_page(report))
    accepted = report.totals.accepted == len(report.findings)
    log.log(logging.INFO if accepted else logging.WARNING, "%s", _table(report))


@dataclass(frozen=True)
class Assessment:
    """The findings about a dataset in the order in which they are shown, and their basis."""

    findings: list[Finding]
    used: list[EpisodeFacts]
    windows: list[WindowYield]


def assess(every: Sequence[EpisodeFacts], settings: AuditSettings) -> Assessment:
    """Run all checks on the facts of all episodes, in the order of their names.

    What concerns the dataset as a whole is judged by the episodes that are used: without unusable
    ones and, with ``on_warning: quarantine``, without those that have warnings.
    """
    findings = list(inspect(every, settings.declared))
    used = usable(every)
    if settings.on_warning == "quarantine":
        out = flagged(findings, settings.accept)
        used = [facts for facts in used if facts.episode not in out]
    windows = window_yields(used, settings.experiments)
    if not used:
        findings.append(
            of_dataset(
                "no_episodes",
                "dataset",
                found=f"none of {len(every)} episodes can be used",
                expected="at least one",
                remedy="mend what is listed here, or check the dataset's path and pattern",
            )
        )
    if settings.left_out:
        findings.append(
            of_dataset(
                "files_left_out",
                "dataset",
                found=f"files that the pattern does not match: {settings.left_out}",
                expected="all episodes of the folder, if they are some",
                remedy="widen the dataset's `pattern`, or move them elsewhere",
            )
        )
    for check in SET_CHECKS:
        findings += check(used, settings.declared)
    findings += short_episodes(used, windows)
    findings += prompts(used, settings.experiments)
    marked = [
        finding.model_copy(update={"accepted": settings.accept.get(finding.code)})
        for finding in findings
    ]
    return Assessment(in_order(marked), used, windows)


def _table(report: Audit) -> str:
    """Return a line for each code: how many findings, and the first place."""
    if not report.findings:
        return f"audit of {report.dataset}: {report.episodes} episodes, nothing to report"
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        kind: str = finding.severity if finding.accepted is None else "accepted"
        groups[kind, finding.code].append(finding)
    accepted = report.totals.accepted
    count = len(report.findings) - accepted
    lines = [
        f"audit of {report.dataset}: {count} finding{'s' if count != 1 else ''} about "
        f"{report.episodes} episodes" + (f", and {accepted} accepted" if accepted else "")
    ]
    for (kind, code), members in groups.items():
        first = members[0]
        where = f"{first.episode}, {first.place}" if first.episode else first.place
        more = f" (and {len(members) - 1} more)" if len(members) > 1 else ""
        text = first.found if len(first.found) <= WIDTH else first.found[: WIDTH - 1] + "…"
        why = f" (accepted: {first.accepted})" if first.accepted is not None else ""
        lines.append(f"  {kind:<9} {code:<29} {where}: {text}{more}{why}")
    return "\n".join(lines)

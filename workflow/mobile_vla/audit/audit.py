"""The stage ``audit``: report what is wrong or odd about a dataset, for the experiments on it."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from mobile_vla.audit.audit_data import marked
from mobile_vla.audit.dataset_checks import prompts, short_episodes, window_yields
from mobile_vla.audit.page import render_page
from mobile_vla.audit.result import Audit, DataAudit, Finding, FindingTotals, WindowYield
from mobile_vla.config.audit import AuditSettings
from mobile_vla.files import write_text
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import AuditFiles
from mobile_vla.texts import Texts

WIDTH = 160  # characters of a finding

log = logging.getLogger(__name__)


def audit(settings: AuditSettings, outputs: AuditFiles, *, data: Path, facts: list[Path]) -> None:
    """Add to the checks of a dataset what the experiments ask of it, and report everything.

    Args:
        data: ``audit_data.json`` of the dataset.
        facts: ``EPISODE.json`` of every episode, in any order.
    """
    checked = DataAudit.read(data)
    names = set(checked.used)
    every = sorted((EpisodeFacts.read(path) for path in facts), key=lambda one: one.episode)
    used = [facts for facts in every if facts.episode in names]
    findings, windows = with_experiments(list(checked.findings), used, settings)
    counts = Counter(
        finding.severity if finding.accepted is None else "accepted" for finding in findings
    )
    report = Audit(
        dataset=settings.dataset,
        episodes=checked.episodes,
        totals=FindingTotals(**{name: counts[name] for name in FindingTotals.model_fields}),
        findings=tuple(findings),
        windows=tuple(windows),
        coverage=checked.coverage,
        statistics=checked.statistics,
        thumbnails=checked.thumbnails,
    )
    report.write(outputs.report)
    drawn = [one for one in every if one.frames]
    write_text(outputs.page, render_page(report, drawn, Texts.of(settings.language)))
    accepted = report.totals.accepted == len(report.findings)
    log.log(logging.INFO if accepted else logging.WARNING, "%s", table(report))


def with_experiments(
    findings: list[Finding], used: Sequence[EpisodeFacts], settings: AuditSettings
) -> tuple[list[Finding], list[WindowYield]]:
    """Return findings with those about what experiments ask of the used episodes, and windows."""
    windows = window_yields(used, settings.experiments)
    asked = [*short_episodes(used, windows), *prompts(used, settings.experiments)]
    return marked([*findings, *asked], settings), windows


def table(report: Audit) -> str:
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
        found = str(first.found)
        text = found if len(found) <= WIDTH else found[: WIDTH - 1] + "…"
        why = f" (accepted: {first.accepted})" if first.accepted is not None else ""
        lines.append(f"  {kind:<9} {code:<29} {where}: {text}{more}{why}")
    return "\n".join(lines)

"""The stage ``audit``: check all episodes of a dataset, and report what is wrong or odd."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.audit.coverage import coverage, statistics
from mobile_vla.audit.experiment_checks import prompts, short_episodes, window_yields
from mobile_vla.audit.findings import in_order, of_dataset
from mobile_vla.audit.flags import flagged
from mobile_vla.audit.inspection import inspect, usable
from mobile_vla.audit.page import render_page
from mobile_vla.audit.result import Audit, Finding, FindingTotals, WindowYield
from mobile_vla.audit.set_checks import SET_CHECKS
from mobile_vla.audit.table import table
from mobile_vla.audit.thumbnails import thumbnails
from mobile_vla.config.audit import AuditSettings
from mobile_vla.files import write_text
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import AuditFiles

log = logging.getLogger(__name__)


def audit(settings: AuditSettings, outputs: AuditFiles, *, facts: list[Path]) -> None:
    """Check all episodes of a dataset and report everything that is wrong or odd.

    Findings never stop the workflow; ``manifest`` decides what is used.

    Args:
        settings: dataset, what it declares, what was accepted, and what its experiments need.
        outputs: the files to write; the page is one file without references to others.
        facts: ``EPISODE.json`` of every episode, in any order, with its ``EPISODE.npy`` beside it.
    """
    read = sorted(
        ((EpisodeFacts.read(path), path) for path in facts), key=lambda pair: pair[0].episode
    )
    every = [content for content, _ in read]
    frames = {content.episode: path.with_suffix(".npy") for content, path in read}
    assessed = assess(every, settings)
    sound = len(usable(every))
    report = Audit(
        dataset=settings.dataset,
        episodes=len(every),
        totals=totals(assessed.findings),
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
    accepted = all(finding.accepted for finding in assessed.findings)
    level = logging.INFO if accepted else logging.WARNING
    log.log(level, "%s", table(settings.dataset, len(every), assessed.findings))


@dataclass(frozen=True)
class Assessment:
    """The findings about a dataset, and what they are based on.

    Args:
        findings: in the order in which they are shown.
        used: facts of the episodes that are used.
        windows: the windows that these give each experiment.
    """

    findings: list[Finding]
    used: list[EpisodeFacts]
    windows: list[WindowYield]


def assess(every: Sequence[EpisodeFacts], settings: AuditSettings) -> Assessment:
    """Run all checks.

    What concerns the dataset as a whole is judged by the episodes that are used: without unusable
    ones and, with ``on_warning: quarantine``, without those that have warnings.

    Args:
        every: facts of all episodes, rejected ones included, in the order of their names.
        settings: what the audit is given.
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
    for check in SET_CHECKS:
        findings += check(used, settings.declared)
    findings += short_episodes(used, windows)
    findings += prompts(used, settings.experiments)
    marked = [
        finding.model_copy(update={"accepted": settings.accept.get(finding.code)})
        for finding in findings
    ]
    return Assessment(in_order(marked), used, windows)


def totals(findings: Sequence[Finding]) -> FindingTotals:
    """Count the findings of each severity, and apart those that are accepted."""
    counts = Counter(
        finding.severity if finding.accepted is None else "accepted" for finding in findings
    )
    return FindingTotals(**{name: counts[name] for name in FindingTotals.model_fields})

"""Audit: facts become findings, for all episodes at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from mobile_vla.audit.content_checks import CONTENT_CHECKS
from mobile_vla.audit.coverage import coverage, statistics
from mobile_vla.audit.episode_checks import NAME_CHECKS, contract
from mobile_vla.audit.findings import Facts, Finding, in_order, of_dataset
from mobile_vla.audit.page import render_page
from mobile_vla.audit.set_checks import SET_CHECKS
from mobile_vla.config.audit import AuditSettings
from mobile_vla.config.windows import Actions
from mobile_vla.files import read_json, write_json, write_text

log = logging.getLogger(__name__)

ROWS = 40  # of the table in the terminal; audit.json and the page hold the rest


def audit(settings: AuditSettings, *, facts: list[Path], report: Path, page: Path) -> None:
    """Look at all episodes of a dataset and report everything that is wrong or odd.

    Findings never stop the workflow; ``manifest`` decides what is used.

    Args:
        settings: dataset, predicted dimensions and scale.
        facts: ``EPISODE.json`` of every episode, in any order.
        report: ``audit.json`` to write.
        page: ``audit.html`` to write, one file without references to others.
    """
    every = sorted((read_json(path) for path in facts), key=lambda one: str(one["episode"]))
    usable = [one for one in every if not one["errors"]]
    found = in_order(find(every, settings.actions))
    content = {
        "dataset": settings.dataset,
        "episodes": len(every),
        "findings": [finding.record() for finding in found],
        "coverage": coverage(usable),
        "statistics": statistics(usable, len(every) - len(usable)),
    }
    write_json(report, content)
    write_text(page, render_page(content))
    level = logging.INFO if not found else logging.WARNING
    log.log(level, "%s", table(settings.dataset, len(every), found))


def find(every: Sequence[Facts], declared: Actions) -> Iterator[Finding]:
    """Yield all findings about a dataset, in no particular order.

    Args:
        every: facts of all episodes, rejected ones included.
        declared: the predicted dimensions and their scale.
    """
    usable = [facts for facts in every if not facts["errors"]]
    if not usable:
        yield of_dataset(
            "no_episodes",
            "error",
            "dataset",
            found=f"none of {len(every)} episodes can be used",
            expected="at least one",
            remedy="check the dataset's path and pattern",
        )
    for facts in every:
        yield from contract(facts)
    for facts in usable:
        for check in (*NAME_CHECKS, *CONTENT_CHECKS):
            yield from check(facts, declared)
    for check_set in SET_CHECKS:
        yield from check_set(usable, declared)


def table(dataset: str, episodes: int, findings: Sequence[Finding]) -> str:
    """Return findings as a table for the terminal: a line a code, the first place of each."""
    if not findings:
        return f"audit of {dataset}: {episodes} episodes, nothing to report"
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.code].append(finding)
    lines = [f"audit of {dataset}: {len(findings)} findings about {episodes} episodes"]
    for (severity, code), members in list(groups.items())[:ROWS]:
        first = members[0]
        where = f"{first.episode}, {first.place}" if first.episode else first.place
        more = f" (and {len(members) - 1} more)" if len(members) > 1 else ""
        lines.append(f"  {severity:<8}{code:<30}{where}: {first.found}{more}")
    if len(groups) > ROWS:
        lines.append(f"  … and {len(groups) - ROWS} more kinds of findings")
    return "\n".join(lines)

"""Audit: facts become findings, for all episodes at once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobile_vla.audit.coverage import coverage, statistics
from mobile_vla.audit.experiment_checks import Cut, prompts, short_episodes, yields
from mobile_vla.audit.findings import Facts, Finding, in_order, of_dataset
from mobile_vla.audit.flags import flagged
from mobile_vla.audit.inspection import inspect, usable
from mobile_vla.audit.page import render_page
from mobile_vla.audit.set_checks import SET_CHECKS
from mobile_vla.audit.table import table
from mobile_vla.audit.thumbnails import thumbnails
from mobile_vla.config.audit import AuditSettings
from mobile_vla.config.findings import SEVERITIES
from mobile_vla.files import read_json, write_json, write_text
from mobile_vla.layout import AuditFiles

log = logging.getLogger(__name__)


def audit(settings: AuditSettings, outputs: AuditFiles, *, facts: list[Path]) -> None:
    """Look at all episodes of a dataset and report everything that is wrong or odd.

    Findings never stop the workflow; ``manifest`` decides what is used.

    Args:
        settings: dataset, what it declares, what was accepted, and what its experiments ask of it.
        outputs: the files to write; the page is one file without references to others.
        facts: ``EPISODE.json`` of every episode, in any order, with its ``EPISODE.npy`` beside it.
    """
    read = sorted(((read_json(path), path) for path in facts), key=lambda one: _name(one[0]))
    every = [content for content, _ in read]
    frames = {_name(content): path.with_suffix(".npy") for content, path in read}
    looked = look(every, settings)
    content = {
        "dataset": settings.dataset,
        "episodes": len(every),
        "totals": totals(looked.findings),
        "findings": [finding.record() for finding in looked.findings],
        "windows": [cut.record() for cut in looked.cuts],
        "coverage": coverage(looked.used),
        "statistics": statistics(
            looked.used,
            rejected=len(every) - len(usable(every)),
            flagged=len(usable(every)) - len(looked.used),
        ),
        "thumbnails": thumbnails(looked.findings, looked.used, frames),
    }
    write_json(outputs.report, content)
    write_text(outputs.page, render_page(content))
    level = logging.INFO if all(one.accepted for one in looked.findings) else logging.WARNING
    log.log(level, "%s", table(settings.dataset, len(every), looked.findings))


@dataclass(frozen=True)
class Looked:
    """What there is to say of a dataset.

    Args:
        findings: in the order in which they are shown.
        used: facts of the episodes that are used.
        cuts: what the experiments' windows leave of them.
    """

    findings: list[Finding]
    used: list[Facts]
    cuts: list[Cut]


def look(every: Sequence[Facts], settings: AuditSettings) -> Looked:
    """Find all that is wrong or odd.

    What concerns the dataset as a whole is judged by the episodes that are used: without broken
    ones and, with ``on_warning: quarantine``, without those that have warnings.

    Args:
        every: facts of all episodes, rejected ones included, in the order of their names.
        settings: what the audit is given.
    """
    found = list(inspect(every, settings.declared))
    used = usable(every)
    if settings.on_warning == "quarantine":
        out = flagged(found, settings.accept)
        used = [facts for facts in used if facts["episode"] not in out]
    cuts = yields(used, settings.experiments)
    if not used:
        found.append(
            of_dataset(
                "no_episodes",
                "dataset",
                found=f"none of {len(every)} episodes can be used",
                expected="at least one",
                remedy="mend what is listed here, or check the dataset's path and pattern",
            )
        )
    for check in SET_CHECKS:
        found += check(used, settings.declared)
    found += short_episodes(used, cuts)
    found += prompts(used, settings.experiments)
    marked = [replace(one, accepted=settings.accept.get(one.code)) for one in found]
    return Looked(in_order(marked), used, cuts)


def totals(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings of each severity there are, and apart how many were accepted."""
    counts = Counter(one.severity if one.accepted is None else "accepted" for one in findings)
    return {name: counts[name] for name in (*SEVERITIES, "accepted")}


def _name(facts: Facts | dict[str, Any]) -> str:
    return str(facts["episode"])

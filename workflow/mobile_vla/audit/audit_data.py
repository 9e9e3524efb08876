"""The command ``audit_data``: check the episodes of a dataset, whatever is trained on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mobile_vla.audit.coverage import coverage, statistics
from mobile_vla.audit.dataset_checks import SET_CHECKS
from mobile_vla.audit.findings import in_order, of_dataset
from mobile_vla.audit.flags import flagged, inspect, usable
from mobile_vla.audit.page import thumbnails
from mobile_vla.audit.result import DataAudit, Finding
from mobile_vla.config.audit import DataAuditSettings
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import DataAuditFiles
from mobile_vla.sentence import say


def audit_data(settings: DataAuditSettings, outputs: DataAuditFiles, *, facts: list[Path]) -> None:
    """Check all episodes of a dataset, for ``audit`` to add what the experiments ask of it.

    Findings never stop the workflow; ``manifest`` decides what is used.

    Args:
        facts: ``EPISODE.json`` of every episode, in any order, with its ``EPISODE.npy`` beside it.
    """
    read = sorted(
        ((EpisodeFacts.read(path), path) for path in facts), key=lambda pair: pair[0].episode
    )
    every = [content for content, _ in read]
    frames = {content.episode: (path.with_suffix(".npy"), content.frames) for content, path in read}
    findings, used = assess_data(every, settings)
    sound = len(usable(every))
    DataAudit(
        dataset=settings.dataset,
        episodes=len(every),
        used=tuple(facts.episode for facts in used),
        findings=tuple(findings),
        coverage=tuple(coverage(used)),
        statistics=statistics(used, rejected=len(every) - sound, flagged=sound - len(used)),
        thumbnails=tuple(thumbnails(findings, used, frames)),
    ).write(outputs.data)


def assess_data(
    every: Sequence[EpisodeFacts], settings: DataAuditSettings
) -> tuple[list[Finding], list[EpisodeFacts]]:
    """Return the findings about the episodes, in the order in which they are shown, and those used.

    What concerns the dataset as a whole is judged by the episodes that are used: without unusable
    ones and, with ``on_warning: quarantine``, without those that have warnings.
    """
    findings = list(inspect(every, settings.declared))
    used = usable(every)
    if settings.on_warning == "quarantine":
        out = flagged(findings, settings.accept)
        used = [facts for facts in used if facts.episode not in out]
    if not used:
        findings.append(
            of_dataset(
                "no_episodes",
                "dataset",
                found=say("none of {n} episodes can be used", n=len(every)),
                expected=say("at least one"),
                remedy=say("mend what is listed here, or check the dataset's path and pattern"),
            )
        )
    if settings.left_out:
        findings.append(
            of_dataset(
                "files_left_out",
                "dataset",
                found=say(
                    "files that the pattern does not match: {files}", files=settings.left_out
                ),
                expected=say("all episodes of the folder, if they are some"),
                remedy=say("widen the dataset's `pattern`, or move them elsewhere"),
            )
        )
    for check in SET_CHECKS:
        findings += check(used, settings.declared)
    return marked(findings, settings), used


def marked(findings: Iterable[Finding], settings: DataAuditSettings) -> list[Finding]:
    """Return findings with the reasons of those that are accepted, in their order."""
    return in_order(
        finding.model_copy(update={"accepted": settings.accept.get(finding.code)})
        for finding in findings
    )

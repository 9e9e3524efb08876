"""Flags: which episodes have warnings, for a dataset that leaves such episodes out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Container, Iterable
from pathlib import Path

from mobile_vla.audit.findings import Finding
from mobile_vla.audit.inspection import inspect
from mobile_vla.config.audit import FlagSettings
from mobile_vla.files import read_json, write_json
from mobile_vla.layout import FlagFiles

log = logging.getLogger(__name__)


def flags(settings: FlagSettings, outputs: FlagFiles, *, facts: list[Path]) -> None:
    """List the episodes with warnings that the user did not accept.

    Made only where ``on_warning: quarantine`` lets ``manifest`` read it. It knows no experiment:
    what is left out of a dataset is left out for all of them.

    Args:
        settings: dataset, what it declares, and the accepted codes.
        outputs: the file to write.
        facts: ``EPISODE.json`` of every episode, in any order.
    """
    every = sorted((read_json(path) for path in facts), key=lambda one: str(one["episode"]))
    codes = flagged(inspect(every, settings.declared), settings.accepted)
    write_json(outputs.flags, {"dataset": settings.dataset, "episodes": codes})
    log.info(
        "dataset %s: %d of %d episodes have warnings", settings.dataset, len(codes), len(every)
    )


def flagged(findings: Iterable[Finding], accepted: Container[str]) -> dict[str, list[str]]:
    """Return the codes of the warnings about each episode, by its name, both sorted."""
    codes: dict[str, set[str]] = defaultdict(set)
    for one in findings:
        if one.severity == "warning" and one.episode is not None and one.code not in accepted:
            codes[one.episode].add(one.code)
    return {episode: sorted(found) for episode, found in sorted(codes.items())}

"""The stage ``flags``: list the episodes with warnings, for a dataset that leaves them out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from mobile_vla.audit.episode_checks import EPISODE_CHECKS
from mobile_vla.audit.findings import of_episode
from mobile_vla.audit.peer_checks import PEER_CHECKS
from mobile_vla.audit.picture_checks import PICTURE_CHECKS
from mobile_vla.audit.quality_checks import QUALITY_CHECKS
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared, FlagSettings
from mobile_vla.data.result import Flags
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import FlagFiles

log = logging.getLogger(__name__)


def flags(settings: FlagSettings, outputs: FlagFiles, *, facts: list[Path]) -> None:
    """List the episodes with warnings that the user did not accept, from the facts of all.

    Made only where ``on_warning: quarantine`` lets ``manifest`` read it. It depends on no
    experiment: what is left out of a dataset is left out for all of them.
    """
    every = sorted((EpisodeFacts.read(path) for path in facts), key=lambda episode: episode.episode)
    codes = flagged(inspect(every, settings.declared), settings.accepted)
    Flags(dataset=settings.dataset, episodes=codes).write(outputs.flags)
    log.info(
        "dataset %s: %d of %d episodes have warnings", settings.dataset, len(codes), len(every)
    )


def usable(every: Sequence[EpisodeFacts]) -> list[EpisodeFacts]:
    """Return the facts of the episodes that ``ingest`` did not reject."""
    return [facts for facts in every if not facts.errors]


def inspect(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """Yield the findings about single episodes, rejected ones included, in no particular order.

    They depend on no experiment. An oddity that all episodes share is a finding about the dataset.
    """
    for facts in every:
        for defect in (*facts.errors, *facts.notes):
            yield of_episode(facts, **dict(defect))
    sound = usable(every)
    for facts in sound:
        for check in EPISODE_CHECKS:
            yield from check(facts, declared)
    for check_peers in (*PEER_CHECKS, *QUALITY_CHECKS, *PICTURE_CHECKS):
        yield from check_peers(sound, declared)


def flagged(findings: Iterable[Finding], accepted: Container[str]) -> dict[str, tuple[str, ...]]:
    """Return the codes of the warnings about each episode, by its name, both sorted."""
    codes: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        if finding.severity != "warning" or finding.episode is None or finding.code in accepted:
            continue
        codes[finding.episode].add(finding.code)
    return {episode: tuple(sorted(codes[episode])) for episode in sorted(codes)}

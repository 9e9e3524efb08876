"""Run the checks of single episodes, which depend on no experiment's settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mobile_vla.audit.content_checks import CONTENT_CHECKS
from mobile_vla.audit.episode_checks import NAME_CHECKS, contract
from mobile_vla.audit.peer_checks import PEER_CHECKS
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.ingest.result import EpisodeFacts


def usable(every: Sequence[EpisodeFacts]) -> list[EpisodeFacts]:
    """Return the facts of the episodes that ``ingest`` did not reject."""
    return [facts for facts in every if not facts.errors]


def inspect(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """Yield the findings about single episodes, in no particular order.

    An oddity that all episodes share is a finding about the whole dataset.

    Args:
        every: facts of all episodes, rejected ones included.
        declared: what the dataset declares of itself.
    """
    for facts in every:
        yield from contract(facts)
    sound = usable(every)
    for facts in sound:
        for check in (*NAME_CHECKS, *CONTENT_CHECKS):
            yield from check(facts, declared)
    for check_peers in PEER_CHECKS:
        yield from check_peers(sound, declared)

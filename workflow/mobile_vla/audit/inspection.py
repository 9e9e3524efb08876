"""The findings about single episodes that no experiment's setting has a part in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mobile_vla.audit.content_checks import CONTENT_CHECKS
from mobile_vla.audit.episode_checks import NAME_CHECKS, contract
from mobile_vla.audit.findings import Facts, Finding
from mobile_vla.audit.peer_checks import PEER_CHECKS
from mobile_vla.config.audit import Declared


def usable(every: Sequence[Facts]) -> list[Facts]:
    """Return the facts of the episodes that ``ingest`` did not reject."""
    return [facts for facts in every if not facts["errors"]]


def inspect(every: Sequence[Facts], declared: Declared) -> Iterator[Finding]:
    """Yield what is to say of the episodes one by one, in no particular order.

    A few findings of the whole dataset are among them, where an oddity that single episodes can
    have concerns all of them.

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

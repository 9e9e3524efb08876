"""Drives with the same commands, which a replay predicts without looking."""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.audit.result import DatasetStatistics
from mobile_vla.reporting.load import DatasetFacts

CODE = "same_sequence"  # of the audit's finding


@dataclass(frozen=True)
class Repeated:
    """The side whose drives resemble each other most."""

    side: str
    episodes: int  # with its most frequent sequence of actions
    of: int  # episodes of the side

    @property
    def others_needed(self) -> int:
        """How many other drives make the repeated ones less than half."""
        return max(2 * self.episodes - self.of + 1, 1)


def repeated_drives(facts: DatasetFacts) -> Repeated | None:
    """Return the side with the largest share of equal drives, where the audit warns of it."""
    statistics = facts.audit.statistics
    if not isinstance(statistics, DatasetStatistics):
        return None
    if CODE not in {finding.code for finding in facts.audit.findings}:
        return None
    found = [Repeated(side, own.episodes, own.of) for side, own in statistics.same_sequence.items()]
    return max(found, key=lambda own: (own.episodes / own.of, own.of), default=None)

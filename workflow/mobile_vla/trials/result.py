"""The form of ``trials.json``."""

from __future__ import annotations

from typing import get_args

from mobile_vla.result import Result
from mobile_vla.sentence import Sentence
from mobile_vla.trials.records import Outcome

COUNTED: tuple[Outcome, ...] = get_args(Outcome)
"""What a drive comes to that counts: all but void."""

HORIZON = 500
"""Blocks that a forecast without a budget looks ahead."""


class DriveRate(Result):
    """How often a policy arrived, after a number of drives."""

    block: int
    """That of the last of these drives: numbered in the order in which they were completed."""
    successes: int
    drives: int
    low: float
    """Lower end of the interval, which is valid at every look."""
    high: float
    """Upper end of the interval."""

    @property
    def rate(self) -> float | None:
        """Successes / drives; None without a drive."""
        return self.successes / self.drives if self.drives else None


class DrivenPolicy(Result):
    """The drives of a policy that have an outcome."""

    policy: str
    """The run, as `lora/seed0`; a letter before unblinding."""
    now: DriveRate
    """After all drives; before unblinding after those of complete blocks."""
    outcomes: dict[Outcome, int]
    history: list[DriveRate]
    """After each drive; empty before unblinding, since it would show drives one by one."""


class DrivenPair(Result):
    """Two policies on the scenes that both drove, counted from the first one's side."""

    policies: tuple[str, str]
    blocks: int
    """Complete blocks in which both drove."""
    wins: int
    """Blocks in which the first alone succeeds."""
    losses: int
    """Blocks in which the second alone succeeds."""
    ties: int
    missing: int
    """Blocks that were begun and in which a drive, if only a third policy's, has no outcome."""
    evidence: float
    """The largest E after any block: 2^m / ((m + 1) · C(m, wins)), m = wins + losses."""
    evidence_now: float
    """E after the last block."""
    p: float
    """1 / evidence, 1 at most: valid at every look."""
    p_holm: float
    """p adjusted for the number of pairs."""
    confidence: float
    """That of the difference's interval, which agrees with the adjusted p value."""
    difference: float | None
    """The first one's rate less the second's over these blocks; null without a block."""
    low: float | None
    """Lower end of what the intervals of all looks have in common; both ends are null where that is
    nothing, which a change of the rates during the trial makes likely."""
    high: float | None
    """Upper end."""
    better: str | None
    """The policy that arrives more often; null where that is inconclusive."""
    decided_after: int | None
    """Number of complete blocks at which the evidence first sufficed."""
    decided_in: int | None
    """The last of these blocks, numbered as in `history`."""
    holds: bool | None
    """Whether the decision would stand had all missing drives gone against it; null where there is
    no decision, or nothing is missing."""
    remaining: int
    """Blocks that are scheduled and not begun."""
    chance: float | None
    """Chance of a decision within them; null once there is one."""
    needed_low: int | None
    """With a chance of 25 % so many more blocks decide; null if 500 do not, or once decided."""
    needed_high: int | None
    """The same with 75 %."""

    @property
    def weaker(self) -> bool:
        """Whether what decided would not do so today: the decision stands, and the page says it."""
        return self.better is not None and self.evidence_now < 1 / (1 - self.confidence)

    @property
    def worse(self) -> str | None:
        """The policy that arrives less often; None where that is inconclusive."""
        others = {self.policies[0]: self.policies[1], self.policies[1]: self.policies[0]}
        return None if self.better is None else others[self.better]


class LeftOut(Result):
    """Rows of a trial's files that do not count, with the reason."""

    reason: str
    """A word for the reason, such as `duplicate` or `late`."""
    rows: int
    """Number of rows, drives or outcomes."""
    sentence: Sentence
    """Which, and why."""


class TrialResult(Result):
    """A blind trial on the robot: `trials.json`. Its files lie in `trials/NAME`."""

    trial: str
    unblinded: str | None
    """When (UTC); null before: then policies are letters."""
    confidence: float
    """That of the rates' intervals, and of decisions over all pairs together."""
    scheduled: int
    """Number of blocks on the schedule; 0 without one."""
    begun: int
    """Number of blocks with a drive."""
    comparisons: int
    """Number of pairs that decisions are corrected for, those with earlier versions of a policy
    included."""
    policies: list[DrivenPolicy]
    pairs: list[DrivenPair]
    voids: list[int]
    """The block of each void drive, counted as in `history`; empty before unblinding."""
    left_out: list[LeftOut]

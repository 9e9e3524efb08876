"""What the outcomes of a trial's drives say: rates, and a decision for each pair of policies."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mobile_vla.statistics.intervals import holm, holm_confidence
from mobile_vla.statistics.sequential import (
    chance_of_deciding,
    difference_intervals,
    log_evidence,
    rate_intervals,
    running_counts,
)
from mobile_vla.trials.records import Outcome
from mobile_vla.trials.result import COUNTED, HORIZON, DrivenPair, DrivenPolicy, DriveRate

LARGEST = 700.0  # of a logarithm whose exponential is a number
NEEDED = (0.25, 0.75)  # chances between which the number of further blocks is given


@dataclass(frozen=True)
class DrivenBlock:
    """A block of a trial that was begun."""

    number: int
    outcomes: Mapping[str, Outcome | None] = field(default_factory=dict)
    """By policy; None where a drive is missing. A policy that was another version is not there."""

    @property
    def complete(self) -> bool:
        """Whether no drive is missing."""
        return None not in self.outcomes.values()


@dataclass(frozen=True, eq=False)
class _Pair:
    """The blocks of two policies, in the order in which they were driven."""

    policies: tuple[str, str]
    results: np.ndarray  # (n,) 1, −1 or 0 for each complete block
    numbers: list[int]  # n, of these blocks
    # of all blocks, had what is missing gone against the first, and against the second
    worst: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, policies: tuple[str, str], blocks: Sequence[DrivenBlock]) -> _Pair:
        """Return the blocks in which each of the two has a drive, or should have one.

        A block counts once it is complete, also where only a third policy's drive is missing: a
        pair that counted earlier would tell which letter is still to drive.
        """
        both = [block for block in blocks if block.outcomes.keys() >= set(policies)]
        every = [tuple(block.outcomes[policy] for policy in policies) for block in both]
        complete = [drives for block, drives in zip(both, every, strict=True) if block.complete]
        numbers = [block.number for block in both if block.complete]
        worst = (_results(every, (False, True)), _results(every, (True, False)))
        return cls(policies, _results(complete, (False, False)), numbers, worst)


def _results(
    drives: Iterable[tuple[Outcome | None, ...]], missing: tuple[bool, bool]
) -> np.ndarray:
    """Return 1, −1 or 0 for each block, with what is supposed of each one's missing drives."""
    won = [
        [
            supposed if outcome is None else outcome == "success"
            for outcome, supposed in zip(block, missing, strict=True)
        ]
        for block in drives
    ]
    one, other = np.array(won, dtype=int).reshape(-1, 2).T
    return one - other


def _log_evidence_by_block(results: np.ndarray) -> np.ndarray:
    """Return log E after 0, 1, … n blocks, (n + 1,)."""
    wins, losses, _ = running_counts(results).T
    return np.append(0.0, log_evidence(wins, losses))


def _decision(results: np.ndarray, border: float) -> tuple[int, int] | None:
    """Return who won (1 or −1) and after how many blocks, where log E reached a border."""
    reached = np.flatnonzero(_log_evidence_by_block(results) >= border)
    if not len(reached):
        return None
    blocks = int(reached[0])
    return int(np.sign(results[:blocks].sum())), blocks


def policy_rates(
    policies: Sequence[str], blocks: Sequence[DrivenBlock], alpha: float, *, blind: bool
) -> list[DrivenPolicy]:
    """Return how often each policy arrived; while blind, of complete blocks and without a history.

    A drive counts whatever became of the rest of its block: who gives a block up after a failure
    must not lose the failure.
    """
    found = []
    for policy in policies:
        drives = [
            (block.number, outcome)
            for block in blocks
            if (block.complete or not blind) and (outcome := block.outcomes.get(policy)) is not None
        ]
        won = np.cumsum([0, *(outcome == "success" for _, outcome in drives)])
        ends = rate_intervals(won, np.arange(len(won)), alpha)
        history = [
            DriveRate(block=number, successes=int(s), drives=n, low=float(low), high=float(high))
            for n, (number, s, (low, high)) in enumerate(
                zip([0, *(number for number, _ in drives)], won, ends, strict=True)
            )
        ]
        listed = [outcome for _, outcome in drives]
        found.append(
            DrivenPolicy(
                policy=policy,
                now=history[-1],
                outcomes={name: listed.count(name) for name in COUNTED},
                history=[] if blind else history[1:],
            )
        )
    return found


def decide(
    policies: Sequence[str],
    blocks: Sequence[DrivenBlock],
    confidence: float,
    *,
    earlier: int,
    scheduled: Sequence[Collection[str]],
) -> list[DrivenPair]:
    """Decide for each pair of policies which one arrives more often, corrected for all pairs.

    Args:
        earlier: number of pairs with an earlier version of a policy: they were looked at, too.
        scheduled: of each block that is not begun, the policies that drive in it.
    """
    pairs = [_Pair.of(pair, blocks) for pair in itertools.combinations(policies, 2)]
    p_values = [float(np.exp(-_log_evidence_by_block(pair.results).max())) for pair in pairs]
    adjusted = holm([*p_values, *[None] * earlier])
    levels = holm_confidence([*p_values, *[None] * earlier], confidence)
    open_pairs = sum(p is None or p > 1 - confidence for p in adjusted)
    return [
        _finish(
            pair,
            p_holm,
            level,
            threshold=open_pairs / (1 - confidence),
            remaining=sum(set(pair.policies) <= set(block) for block in scheduled),
        )
        for pair, p_holm, level in zip(pairs, adjusted, levels, strict=False)
    ]


def _finish(
    pair: _Pair, p_holm: float | None, level: float, *, threshold: float, remaining: int
) -> DrivenPair:
    """Put together what is known of a pair.

    Args:
        level: the confidence of its interval, which agrees with the adjusted p value.
        threshold: the evidence that decides the next pair, for the forecast.
        remaining: number of blocks that are not begun and in which both drive.
    """
    assert p_holm is not None  # a p value of evidence is always there
    counts = running_counts(pair.results)
    wins, losses, ties = map(int, counts[-1] if len(counts) else (0, 0, 0))
    logs = _log_evidence_by_block(pair.results)
    decision = _decision(pair.results, -np.log(1 - level))
    missing = len(pair.worst[0]) - len(pair.results)
    low, high = _common(difference_intervals(counts, 1 - level)) if len(counts) else (None, None)
    found = DrivenPair(
        policies=pair.policies,
        blocks=len(counts),
        wins=wins,
        losses=losses,
        ties=ties,
        missing=missing,
        evidence=float(np.exp(min(logs.max(), LARGEST))),
        evidence_now=float(np.exp(min(logs[-1], LARGEST))),
        p=float(np.exp(-logs.max())),
        p_holm=p_holm,
        confidence=level,
        difference=(wins - losses) / len(counts) if len(counts) else None,
        low=low,
        high=high,
        better=None,
        decided_after=None,
        decided_in=None,
        holds=None,
        remaining=remaining,
        chance=None,
        needed_low=None,
        needed_high=None,
    )
    if decision is not None:
        winner, after = decision
        worst = _decision(pair.worst[0 if winner > 0 else 1], -np.log(1 - level))
        decided = {
            "better": pair.policies[0 if winner > 0 else 1],
            "decided_after": after,
            "decided_in": pair.numbers[after - 1],
            "holds": (worst is not None and worst[0] == winner) if missing else None,
        }
        return found.model_copy(update=decided)
    chances = chance_of_deciding(np.array([wins, losses, ties]), max(HORIZON, remaining), threshold)
    low_more, high_more = (_first(chances[: HORIZON + 1] >= chance) for chance in NEEDED)
    forecast = {
        "chance": float(chances[remaining]),
        "needed_low": low_more,
        "needed_high": high_more,
    }
    return found.model_copy(update=forecast)


def _common(intervals: np.ndarray) -> tuple[float | None, float | None]:
    """Return what intervals of all looks have in common: each holds together with all others."""
    low, high = float(intervals[:, 0].max()), float(intervals[:, 1].min())
    return (low, high) if low <= high else (None, None)


def _first(reached: np.ndarray) -> int | None:
    """Return the first place that is true."""
    return int(reached.argmax()) if reached.any() else None

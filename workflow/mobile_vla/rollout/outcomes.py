"""Summarise rollouts: proportions of outcomes, detours, and drivers compared scene by scene."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mobile_vla.config.simulator import SIDES, SimulateSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.rollout.result import (
    OUTCOMES,
    DriverComparison,
    DriverResult,
    DriverVerdict,
    PathLengthRatio,
    SceneOutcomes,
)
from mobile_vla.rollout.simulation import FinishedRollout
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.proportions import paired_mean, proportion

Rollouts = Mapping[str, Sequence[FinishedRollout]]
"""N rollouts by driver: ``policy``, ``expert`` and ``replay``, in the same scenes."""

VERDICTS: Mapping[Literal["replay", "expert"], tuple[DriverVerdict, DriverVerdict]] = {
    "replay": ("better than the replay", "worse than the replay"),
    "expert": ("better than the expert", "worse than the expert"),
}


def summarise_driver(
    episodes: Sequence[SimulateSettings],
    rollouts: Sequence[FinishedRollout],
    expert: Sequence[FinishedRollout],
    uncertainty: Uncertainty,
) -> DriverResult:
    """Summarise the N rollouts of a driver.

    The Wilson intervals take each rollout as independent: they show the precision of a driver's
    proportion, and no verdict rests on them.

    Args:
        episodes: scene and side of each.
        rollouts: the driver's.
        expert: the expert's.
        uncertainty: how intervals are made.
    """
    counts = Counter(rollout.outcome for rollout in rollouts)
    ratios = [
        rollout.length / other.length
        for rollout, other in zip(rollouts, expert, strict=True)
        if rollout.outcome == other.outcome == "success"
    ]
    successes = defaultdict(list)
    for episode, rollout in zip(episodes, rollouts, strict=True):
        successes[episode.side].append(rollout.outcome == "success")
    return DriverResult(
        success=proportion(counts["success"], len(rollouts), uncertainty),
        outcomes={outcome: counts[outcome] for outcome in OUTCOMES},
        success_by_side={
            side: proportion(sum(successes[side]), len(successes[side]), uncertainty)
            for side in SIDES
        },
        path_length_ratio=PathLengthRatio(
            rollouts=len(ratios), median=float(np.median(ratios)) if ratios else None
        ),
    )


def compare_drivers(
    episodes: Sequence[SimulateSettings],
    rollouts: Rollouts,
    other: Literal["replay", "expert"],
    uncertainty: Uncertainty,
) -> DriverComparison:
    """Compare the policy with another driver.

    Both sides of a scene are dependent, so the bootstrap draws scenes.

    Args:
        episodes: scene and side of each of the N rollouts.
        rollouts: by driver.
        other: the driver that the policy is compared with.
        uncertainty: how intervals are made.
    """
    by_scene: dict[int, list[int]] = defaultdict(list)
    pairs = zip(rollouts["policy"], rollouts[other], strict=True)
    for episode, (policy, reference) in zip(episodes, pairs, strict=True):
        gain = int(policy.outcome == "success") - int(reference.outcome == "success")
        by_scene[episode.scene].append(gain)
    difference = paired_mean(np.array([np.mean(gains) for gains in by_scene.values()]), uncertainty)
    better, worse = VERDICTS[other]
    verdict: DriverVerdict = "inconclusive"
    if len(by_scene) >= FEWEST:
        if difference.above(0):
            verdict = better
        elif difference.below(0):
            verdict = worse
    return DriverComparison(difference=difference, verdict=verdict)


def scene_outcomes(episodes: Sequence[SimulateSettings], rollouts: Rollouts) -> list[SceneOutcomes]:
    """List the outcomes of all drivers by scene and side.

    Args:
        episodes: scene and side of each of the N rollouts.
        rollouts: by driver.
    """
    return [
        SceneOutcomes(
            scene=episode.scene,
            side=episode.side,
            distance=episode.distance,
            layout=episode.layout,
            policy=policy.outcome,
            expert=expert.outcome,
            replay=replay.outcome,
        )
        for episode, policy, expert, replay in zip(
            episodes, rollouts["policy"], rollouts["expert"], rollouts["replay"], strict=True
        )
    ]

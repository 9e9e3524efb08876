"""What rollouts amount to: shares of outcomes with intervals, detours, and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobile_vla.config.simulator import SIDES, SimulateSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.rollout.simulation import OUTCOMES, Rollout
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.proportions import above, below, paired, share

VERDICTS = {
    "replay": ("better than replaying the usual keys", "worse than replaying the usual keys"),
    "expert": ("better than the expert", "worse than the expert"),
}
UNDECIDED = "cannot be told"


def summary(
    episodes: Sequence[SimulateSettings],
    driven: Mapping[str, Sequence[Rollout]],
    uncertainty: Uncertainty,
) -> dict[str, Any]:
    """Return ``drivers``, ``against_replay``, ``against_expert`` and ``each``.

    Both sides of a scene are dependent, so differences are drawn scene by scene. The Wilson
    intervals of the shares take each rollout as independent: they show one driver's precision and
    decide nothing.

    Args:
        episodes: scene and side of each of the N rollouts.
        driven: by driver (``policy``, ``expert``, ``replay``), what became of each.
        uncertainty: how intervals are made.
    """
    return {
        "drivers": {
            name: _driver(episodes, found, driven["expert"], uncertainty)
            for name, found in driven.items()
        },
        **{
            f"against_{name}": against(
                episodes, driven["policy"], driven[name], VERDICTS[name], uncertainty
            )
            for name in ("replay", "expert")
        },
        "each": [
            {
                "scene": episode.scene,
                "side": episode.side,
                "distance": episode.distance,
                "layout": episode.layout,
                **{name: found[row].outcome for name, found in driven.items()},
            }
            for row, episode in enumerate(episodes)
        ],
    }


def _driver(
    episodes: Sequence[SimulateSettings],
    found: Sequence[Rollout],
    expert: Sequence[Rollout],
    uncertainty: Uncertainty,
) -> dict[str, Any]:
    counts = Counter(one.outcome for one in found)
    ratios = [
        own.length / other.length
        for own, other in zip(found, expert, strict=True)
        if own.outcome == other.outcome == "success"
    ]
    return {
        "success": share(counts["success"], len(found), uncertainty),
        "outcomes": {name: counts[name] for name in OUTCOMES},
        "success_by_side": {
            side: share(sum(one.outcome == "success" for one in own), len(own), uncertainty)
            for side in SIDES
            for own in [_of(found, episodes, side)]
        },
        "path_length_ratio": {
            "rollouts": len(ratios),
            "median": float(np.median(ratios)) if ratios else None,
        },
    }


def _of(found: Sequence[Rollout], episodes: Sequence[SimulateSettings], side: str) -> list[Rollout]:
    return [one for one, own in zip(found, episodes, strict=True) if own.side == side]


def against(
    episodes: Sequence[SimulateSettings],
    own: Sequence[Rollout],
    other: Sequence[Rollout],
    words: tuple[str, str],
    uncertainty: Uncertainty,
) -> dict[str, Any]:
    """Compare two drivers on the same scenes.

    Args:
        episodes: scene and side of each rollout.
        own: what became of the first driver's.
        other: what became of the second's.
        words: the verdicts where the interval of the difference lies above 0, and below.
        uncertainty: how intervals are made.

    Returns:
        ``{"difference": {"mean", "low", "high", "confidence", "units"}, "verdict"}``: the
        difference in the share of successes, with a paired bootstrap interval over scenes.
    """
    better: dict[int, list[int]] = {}
    for episode, first, second in zip(episodes, own, other, strict=True):
        one = int(first.outcome == "success") - int(second.outcome == "success")
        better.setdefault(episode.scene, []).append(one)
    difference = paired(np.array([np.mean(both) for both in better.values()]), uncertainty)
    verdict = UNDECIDED
    if len(better) >= FEWEST:
        if above(difference, 0):
            verdict = words[0]
        elif below(difference, 0):
            verdict = words[1]
    return {"difference": difference, "verdict": verdict}

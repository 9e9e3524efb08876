"""The conclusion from a policy's differences to its baselines and controls.

A policy beats the best baseline where its error is below that of every baseline, with the interval
of the paired difference clear of zero. Each has to be beaten, so no correction is needed: the claim
is an intersection (Berger 1982, Technometrics 24:295). It does not beat it where it is worse than
any of them, a claim that each of them can bring about: there p values are corrected (Holm 1979).
Otherwise the outcome is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.differences import ErrorSums, differences
from mobile_vla.evaluation.result import Difference, Outcome, Use, Verdict
from mobile_vla.statistics.intervals import FEWEST

SLIGHT = 0.01
"""A mean change of the prediction below this share of the action scale counts as none."""


@dataclass(frozen=True)
class Conclusion:
    """The differences between predictors, and the verdict that follows."""

    differences: dict[str, Difference]
    """Policy less each baseline and control."""
    verdict: Verdict


def conclude(
    sums: ErrorSums,
    baselines: Sequence[str],
    best: str,
    changes: Mapping[str, float],
    scale: float,
    uncertainty: Uncertainty,
    *,
    selected_on_scored: bool,
) -> Conclusion:
    """Compare a policy with its baselines and controls, and judge it.

    Args:
        sums: the episodes' errors of all of them.
        baselines: names of the baselines.
        best: name of the baseline with the lowest error.
        changes: by control, mean absolute change of the prediction, in raw command units.
        scale: the action scale.
        uncertainty: settings of intervals and verdicts.
        selected_on_scored: whether the scored episodes chose the checkpoint.
    """
    to_baselines = differences(sums, baselines, uncertainty)
    to_controls = differences(sums, list(changes), uncertainty)
    episodes = len(sums.episodes)
    uses: dict[str, Use] = {
        control: use_of(change, to_controls[control], scale, episodes)
        for control, change in changes.items()
    }
    return Conclusion(
        {**to_baselines, **to_controls},
        judge(
            to_baselines,
            best,
            episodes,
            uncertainty.confidence,
            selected_on_scored=selected_on_scored,
            image=uses.get("no_image", "not tested"),
            prompt=uses.get("shuffled_prompt", "not tested"),
        ),
    )


def judge(
    to_baselines: Mapping[str, Difference],
    best: str,
    episodes: int,
    confidence: float,
    *,
    selected_on_scored: bool,
    image: Use,
    prompt: Use,
) -> Verdict:
    """Judge a policy.

    Args:
        to_baselines: the difference to each baseline.
        best: name of the baseline with the lowest error.
        episodes: number of scored episodes.
        confidence: that of the intervals.
        selected_on_scored: whether the scored episodes chose the checkpoint.
        image: how the policy uses its images.
        prompt: how it uses its prompts.
    """
    to_best = to_baselines[best]
    outcome: Outcome = "inconclusive"
    if selected_on_scored:
        outcome = "no_verdict"
    elif episodes < FEWEST:
        pass
    elif all(difference.better for difference in to_baselines.values()):
        outcome = "beats"
    elif _worse(to_baselines, confidence) or to_best.low == to_best.high == 0:
        outcome = "does_not_beat"
    if image == "ignored" and outcome in ("beats", "inconclusive"):
        outcome = "ignores_image"
    return Verdict(
        outcome=outcome,
        against=best,
        episodes=episodes,
        needed=_needed(to_baselines) if outcome == "inconclusive" else None,
        image=image,
        prompt=prompt,
    )


def use_of(change: float, difference: Difference, scale: float, episodes: int) -> Use:
    """Return how a policy uses a part of its input.

    Args:
        change: mean absolute change of the prediction without that part, in raw command units.
        difference: of the errors, policy less policy without it.
        scale: the action scale.
        episodes: number of scored episodes.
    """
    if change < SLIGHT * scale:
        return "ignored"
    if episodes < FEWEST:
        return "inconclusive"
    if difference.better:
        return "used"
    return "misleading" if difference.worse else "inconclusive"


def _worse(to_baselines: Mapping[str, Difference], confidence: float) -> bool:
    return any(
        difference.value > 0 and difference.p_holm < 1 - confidence
        for difference in to_baselines.values()
    )


def _needed(to_baselines: Mapping[str, Difference]) -> int | None:
    """Return what the hardest baseline needs; None where the policy is not below all of them."""
    if any(difference.value >= 0 for difference in to_baselines.values()):
        return None
    numbers = [difference.needed for difference in to_baselines.values()]
    return max((number for number in numbers if number is not None), default=None)

"""What the scores of some episodes allow to say of a policy, and what they do not.

A policy beats the best baseline where its error is below that of every baseline, with the interval
of the paired difference clear of zero. Each has to be beaten, so no correction is needed: the claim
is an intersection (Berger 1982, Technometrics 24:295). It does not beat it where it is worse than
one of them, which is a claim that any of them can bring about: there p values are corrected (Holm
1979). Otherwise the episodes do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mobile_vla.statistics.intervals import FEWEST

Outcome = Literal["beats", "does_not_beat", "cannot_be_told", "ignores_image", "no_verdict"]
Use = Literal["used", "ignored", "misleading", "cannot be told", "not tested"]

SLIGHT = 0.01
"""A mean change of the prediction below this share of the action scale is none."""


@dataclass(frozen=True)
class Difference:
    """A paired difference of mean absolute errors, policy less another predictor.

    Args:
        value: in raw command units; below 0 the policy is better.
        low: lower end of its interval; None where few episodes leave it open.
        high: upper end.
        p: p value against 0.
        p_holm: the same, adjusted for the number of baselines.
        needed: about how many episodes would show a difference of this size, where these do not.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    needed: int | None

    @property
    def better(self) -> bool:
        """Whether the policy is better, beyond chance."""
        return self.high is not None and self.high < 0

    @property
    def worse(self) -> bool:
        """Whether the policy is worse, beyond chance."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class Verdict:
    """What may be said.

    Args:
        outcome: in one word.
        against: the baseline with the lowest error.
        episodes: how many episodes it rests on.
        needed: about how many would be needed, where it cannot be told and the policy looks better.
        image: whether predictions depend on the image, and for the better.
        prompt: the same of the prompt.
        text: the outcome as a sentence without its end, which follows a name and a colon.
    """

    outcome: Outcome
    against: str
    episodes: int
    needed: int | None
    image: Use
    prompt: Use
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def verdict(
    differences: Mapping[str, Difference],
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
        differences: to each baseline.
        best: name of the baseline with the lowest error.
        episodes: number of scored episodes.
        confidence: that of the intervals.
        selected_on_scored: whether the scored episodes chose the checkpoint.
        image: what the policy's images are to it.
        prompt: what its prompts are to it.
    """
    own = differences[best]
    needed: int | None = None
    outcome: Outcome
    if selected_on_scored:
        outcome = "no_verdict"
    elif episodes < FEWEST:
        outcome, needed = "cannot_be_told", _needed(differences)
    elif all(difference.better for difference in differences.values()):
        outcome = "beats"
    elif _worse(differences, confidence) or own.low == own.high == 0:
        outcome = "does_not_beat"
    else:
        outcome, needed = "cannot_be_told", _needed(differences)
    if image == "ignored" and outcome in ("beats", "cannot_be_told"):
        outcome, needed = "ignores_image", None
    text = _text(outcome, best, episodes, needed, own.value)
    if image == "ignored" and outcome == "does_not_beat":
        text += ", and ignores the image"
    return Verdict(outcome, best, episodes, needed, image, prompt, text)


def use_of(change: float, difference: Difference, scale: float, episodes: int) -> Use:
    """Return what a part of the input is to a policy.

    Args:
        change: mean absolute change of the prediction without that part, in raw command units.
        difference: of the errors, policy less policy without it.
        scale: the action scale.
        episodes: number of scored episodes.
    """
    if change < SLIGHT * scale:
        return "ignored"
    if episodes < FEWEST:
        return "cannot be told"
    if difference.better:
        return "used"
    return "misleading" if difference.worse else "cannot be told"


def _worse(differences: Mapping[str, Difference], confidence: float) -> bool:
    return any(
        difference.value > 0 and difference.p_holm < 1 - confidence
        for difference in differences.values()
    )


def _needed(differences: Mapping[str, Difference]) -> int | None:
    """Return what the hardest baseline needs; None where the policy is not below all of them."""
    if any(difference.value >= 0 for difference in differences.values()):
        return None
    numbers = [difference.needed for difference in differences.values()]
    return max((number for number in numbers if number is not None), default=None)


def _text(outcome: Outcome, best: str, episodes: int, needed: int | None, difference: float) -> str:
    name, n = best.replace("_", " "), f"{episodes} episode{'' if episodes == 1 else 's'}"
    if outcome == "beats":
        return f"it beats every baseline, the best of which is {name}"
    if outcome == "does_not_beat":
        return f"it does not beat the best baseline, {name}"
    if outcome == "ignores_image":
        return "it ignores the image: its predictions are the same without it"
    if outcome == "no_verdict":
        return "there is no verdict, because the scored episodes chose its checkpoint"
    start = f"whether it beats the best baseline, {name}, cannot be told from {n}"
    if needed is not None:
        return f"{start}; a difference like this one would take about {_about(needed)}"
    if difference >= 0:
        return f"{start}, in which it does not"
    return start


def _about(number: int) -> str:
    """Return a number with two digits that count."""
    digits = max(len(str(number)) - 2, 0)
    return f"{round(number, -digits):,}"

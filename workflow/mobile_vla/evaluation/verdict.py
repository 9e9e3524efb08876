"""The paired differences from a policy to its baselines and controls, and the conclusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.metrics import sums_by
from mobile_vla.evaluation.result import POLICY, Difference, Outcome, Use, Verdict
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.statistics.intervals import FEWEST, bootstrap, episodes_needed, holm

SLIGHT = 0.01  # a mean change of the prediction below this share of the action scale is none


@dataclass(frozen=True, eq=False)
class ErrorSums:
    """Absolute errors of K predictors, summed over the steps and dimensions of n episodes."""

    names: tuple[str, ...]  # of the K predictors
    episodes: tuple[str, ...]  # names of the n episodes that have a step
    groups: tuple[str, ...]  # (n,) the group of each
    absolute: np.ndarray  # (n, K) in command units
    values: np.ndarray  # (n,) number of values that each sum is over
    steps: np.ndarray  # (n,) number of steps

    @classmethod
    def of(cls, windows: ScoredWindows, predictions: Mapping[str, np.ndarray]) -> ErrorSums:
        """Sum the errors of predictions (S, A) of the steps of some windows."""
        steps = windows.steps
        indices, place = np.unique(steps.episode, return_inverse=True)
        count = len(indices)
        columns = [
            sums_by(np.abs(values - steps.truth), place, count).sum(axis=1)
            for values in predictions.values()
        ]
        number = np.bincount(place, minlength=count)
        return cls(
            tuple(predictions),
            tuple(windows.episodes[index] for index in indices),
            tuple(windows.groups[index] for index in indices),
            np.stack(columns, axis=1),
            number * steps.truth.shape[1],
            number,
        )

    def mae(self) -> np.ndarray:
        """Return each episode's mean absolute error, (n, K)."""
        return np.asarray(self.absolute / self.values[:, None])

    def by_group(self) -> ErrorSums:
        """Return the sums over whole groups, which are what chance draws."""
        groups = tuple(dict.fromkeys(self.groups))
        places = {name: index for index, name in enumerate(groups)}
        place = np.array([places[name] for name in self.groups], dtype=np.int64)
        values, steps = (
            sums_by(one[:, None], place, len(groups))[:, 0].astype(np.int64)
            for one in (self.values, self.steps)
        )
        absolute = sums_by(self.absolute, place, len(groups))
        return ErrorSums(self.names, groups, groups, absolute, values, steps)


def differences(
    sums: ErrorSums, others: Sequence[str], uncertainty: Uncertainty
) -> dict[str, Difference]:
    """Return the policy's pooled error less that of each other predictor, paired by group.

    p values are adjusted for the number of the others.
    """
    if not others:
        return {}
    columns, units = [sums.names.index(name) for name in others], sums.by_group()
    paired = units.absolute[:, [sums.names.index(POLICY)]] - units.absolute[:, columns]
    boot = bootstrap(paired, units.values, uncertainty.draws, uncertainty.seed)
    p_values = [boot.p_value(index, uncertainty.confidence) for index in range(len(others))]
    result = {}
    for index, (name, adjusted) in enumerate(zip(others, holm(p_values), strict=True)):
        ends = boot.interval(index, uncertainty.confidence)
        needed = None
        if ends is not None and ends[0] <= 0 <= ends[1]:
            needed = episodes_needed(
                boot, index, len(sums.episodes), uncertainty.confidence, uncertainty.power
            )
        result[name] = Difference(
            value=float(boot.values[index]),
            low=ends[0] if ends else None,
            high=ends[1] if ends else None,
            p=p_values[index],
            p_holm=adjusted,
            needed=needed,
        )
    return result


@dataclass(frozen=True)
class Conclusion:
    """The differences between predictors, and the verdict that follows."""

    differences: dict[str, Difference]  # policy less each baseline and control
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
        best: name of the baseline with the lowest error.
        changes: by control, mean absolute change of the prediction, in command units.
        selected_on_scored: whether the scored episodes chose the checkpoint.
    """
    to_baselines = differences(sums, baselines, uncertainty)
    to_controls = differences(sums, list(changes), uncertainty)
    groups = len(set(sums.groups))
    uses: dict[str, Use] = {
        control: use_of(change, to_controls[control], scale, groups)
        for control, change in changes.items()
    }
    return Conclusion(
        {**to_baselines, **to_controls},
        judge(
            to_baselines,
            best,
            len(sums.episodes),
            groups,
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
    groups: int,
    confidence: float,
    *,
    selected_on_scored: bool,
    image: Use,
    prompt: Use,
) -> Verdict:
    """Judge a policy.

    It beats the best baseline where its error is below that of every baseline, with the interval
    of the paired difference clear of zero. Each has to be beaten, so no correction is needed: the
    claim is an intersection (Berger 1982, Technometrics 24:295). It does not beat it where it is
    worse than any of them, a claim that each of them can bring about: there p values are corrected
    (Holm 1979). Otherwise the outcome is inconclusive.

    Args:
        best: name of the baseline with the lowest error.
        episodes: number of scored episodes.
        groups: number of groups that they are of.
        selected_on_scored: whether the scored episodes chose the checkpoint.
    """
    to_best = to_baselines[best]
    worse = any(
        difference.value > 0
        and difference.p_holm is not None
        and difference.p_holm < 1 - confidence
        for difference in to_baselines.values()
    )
    outcome: Outcome = "inconclusive"
    if selected_on_scored:
        outcome = "no_verdict"
    elif groups < FEWEST:
        pass
    elif all(difference.better for difference in to_baselines.values()):
        outcome = "beats"
    elif worse or to_best.low == to_best.high == 0:
        outcome = "does_not_beat"
    if image == "ignored" and outcome in ("beats", "inconclusive"):
        outcome = "ignores_image"
    return Verdict(
        outcome=outcome,
        against=best,
        episodes=episodes,
        groups=groups,
        needed=_needed(to_baselines) if outcome == "inconclusive" else None,
        image=image,
        prompt=prompt,
    )


def use_of(change: float, difference: Difference, scale: float, groups: int) -> Use:
    """Return how a policy uses a part of its input.

    Args:
        change: mean absolute change of the prediction without that part, in command units.
        difference: of the errors, policy less policy without it.
    """
    if change < SLIGHT * scale:
        return "ignored"
    if groups < FEWEST:
        return "inconclusive"
    if difference.better:
        return "used"
    return "misleading" if difference.worse else "inconclusive"


def _needed(to_baselines: Mapping[str, Difference]) -> int | None:
    """Return what the hardest baseline needs; None where the policy is not below all of them.

    Without an interval to a baseline the spread of the episodes is not known well enough.
    """
    if any(own.value >= 0 or own.low is None for own in to_baselines.values()):
        return None
    numbers = [difference.needed for difference in to_baselines.values()]
    return max((number for number in numbers if number is not None), default=None)

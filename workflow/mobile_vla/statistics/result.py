"""The form of proportions and means with their intervals, as they stand in result files."""

from __future__ import annotations

from typing import Literal

from mobile_vla.result import Result

IntervalMethod = Literal["percentile", "bootstrap-t"]


class Proportion(Result):
    """A proportion of successes with Wilson's interval."""

    successes: int
    """Number of successes."""
    trials: int
    """Number of trials."""
    rate: float
    """Successes / trials."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    confidence: float
    """Confidence of the interval, as a share of 1."""


class PairedMean(Result):
    """A mean of paired differences with its bootstrap interval over the pairs."""

    mean: float
    """The mean."""
    low: float | None
    """Lower end of the interval; both ends are null where the pairs carry none."""
    high: float | None
    """Upper end of the interval."""
    confidence: float
    """Confidence of the interval, as a share of 1."""
    method: IntervalMethod
    """`bootstrap-t` below 50 pairs, else `percentile`."""
    units: int
    """Number of independent pairs, such as scenes or episodes."""

    def above(self, border: float) -> bool:
        """Whether the interval lies above a border; False without an interval."""
        return self.low is not None and self.low > border

    def below(self, border: float) -> bool:
        """Whether the interval lies below a border; False without an interval."""
        return self.high is not None and self.high < border


class RankCorrelation(Result):
    """Spearman's rank correlation with its bootstrap interval over the points."""

    points: int
    """Number of points, such as experiments."""
    value: float | None
    """The coefficient, from −1 to 1; null where ``why_none`` says why."""
    low: float | None
    """Lower end of the interval; both ends are null where the points carry none, such as a perfect
    order, which all samples of them have too."""
    high: float | None
    """Upper end of the interval."""
    confidence: float
    """Confidence of the interval, as a share of 1."""
    why_none: Literal["few", "constant"] | None
    """`few`: fewer than 4 points; `constant`: all points have the same value."""


class MeanWithInterval(Result):
    """A mean over episodes with its bootstrap interval."""

    value: float
    """The mean, pooled over the steps of all episodes."""
    low: float | None
    """Lower end of the interval; both ends are null where the episodes carry none."""
    high: float | None
    """Upper end of the interval."""
    confidence: float
    """Confidence of the interval, as a share of 1."""
    method: IntervalMethod
    """`bootstrap-t` below 50 groups, else `percentile`."""
    groups: int
    """Number of groups of episodes, such as scenes, that the bootstrap draws from."""

"""Intervals of means over episodes by the bootstrap, p values, and corrections for their number.

The steps of an episode resemble each other, and the episodes of a group do, such as those on both
sides of one scene. So the bootstrap draws whole groups: the units, here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mobile_vla.statistics.result import IntervalMethod, MeanWithInterval

FEWEST = 8  # with fewer units there is an interval, and no claim rests on it
# From this number of units on the interval is the percentile interval. With fewer it is the
# bootstrap-t interval (Efron and Tibshirani 1993, An Introduction to the Bootstrap, 12.5), because
# the other is too narrow there: with 20 normal values it covers about 3 % too little.
MANY = 50
# A sample whose standard error is below this share of the whole one's repeats a single unit, or
# some that are nearly the same. It has no spread to measure its mean by, and counts as infinitely
# far off.
SPREADLESS = 0.01
BLOCK = 1 << 20  # drawn units held at a time: memory stays flat however many there are


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Means of K quantities over units, and how they vary between samples.

    ``drawn`` holds the means of the samples; below :data:`MANY` units, the distance of each from
    the mean in standard errors of its sample.
    """

    values: np.ndarray  # (K,) the means, pooled over steps: Σ sum / Σ count
    errors: np.ndarray  # (K,) their standard errors, by linearisation (Cochran 1977, 6.4)
    drawn: np.ndarray  # (draws, K)
    units: int

    @property
    def method(self) -> IntervalMethod:
        """How the intervals are made."""
        return "percentile" if self.units >= MANY else "bootstrap-t"

    def interval(self, index: int, confidence: float) -> tuple[float, float] | None:
        """Return the equal-tailed interval of a mean; None where the units carry none.

        A mean of a single unit has none; nor has one of so few, or so similar ones, that the
        samples without a spread leave an end of it open.
        """
        tail = (1 - confidence) / 2
        if self.errors[index] == 0:
            if self._spreadless / 2 >= tail:
                return None
            return float(self.values[index]), float(self.values[index])
        # `inverted_cdf` takes a drawn value: a mean of two of which one is infinite would be none.
        low, high = np.quantile(self.drawn[:, index], [tail, 1 - tail], method="inverted_cdf")
        if self.method == "percentile":
            return float(low), float(high)
        if not np.isfinite([low, high]).all():
            return None
        value, error = self.values[index], self.errors[index]
        return float(value - high * error), float(value - low * error)

    def p_value(self, index: int, confidence: float) -> float | None:
        """Return the p value against 0: 1 − the largest confidence whose interval excludes 0.

        None where there is no interval of the ``confidence`` that the p value stands beside.
        """
        if self.interval(index, confidence) is None:
            return None
        if self.errors[index] == 0:
            return (
                1.0 if self.values[index] == 0 else max(1 / (len(self.drawn) + 1), self._spreadless)
            )
        t = self.values[index] / self.errors[index]
        zero = t if self.method == "bootstrap-t" else 0.0
        drawn = self.drawn[:, index]
        fewer = min((drawn <= zero).sum(), (drawn >= zero).sum())
        return float(min(1, 2 * (fewer + 1) / (len(drawn) + 1)))

    @property
    def _spreadless(self) -> float:
        """The share of samples that repeat a single unit."""
        return float(self.units) ** (1 - self.units)


def bootstrap(sums: np.ndarray, counts: np.ndarray, draws: int, seed: int) -> Bootstrap:
    """Draw units with replacement, all K quantities of a unit together.

    Args:
        sums: (n, K) each unit's sum of each quantity.
        counts: (n,) number of values that each sum is over.

    Raises:
        ValueError: there is no unit, or one without steps.
    """
    units = len(counts)
    if not units or not (counts > 0).all():
        raise ValueError("every unit needs at least one step")
    weights = counts / counts.mean()  # about 1, so that no sum of squares overflows
    sums = sums / counts.mean()
    values = sums.sum(axis=0) / weights.sum()
    residuals = sums - values * weights[:, None]  # (n, K)
    residuals[np.abs(residuals) < 1e-12 * np.abs(sums).max(initial=1e-300)] = 0
    correction = units / max(units - 1, 1)
    errors = np.sqrt(correction * np.square(residuals).sum(axis=0)) / weights.sum()
    drawn = np.empty((draws, sums.shape[1]))
    for rows, times in resamples(units, draws, seed):
        total = times @ weights  # (B,)
        shift = (times @ residuals) / total[:, None]  # (B, K) the sample's mean less the mean
        if units >= MANY:
            drawn[rows] = values + shift
            continue
        # Σ times · (residual − shift · weight)², written out as products with `times`
        squares = (
            times @ np.square(residuals)
            - 2 * shift * (times @ (residuals * weights[:, None]))
            + np.square(shift) * (times @ np.square(weights))[:, None]
        )
        error = np.sqrt(correction * np.clip(squares, 0, None)) / total[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = shift / error
        flat = error <= SPREADLESS * errors
        far = np.where(shift > 0, np.inf, np.where(shift < 0, -np.inf, 0.0))
        drawn[rows] = np.where(flat, far, ratio)
    return Bootstrap(values, errors, drawn, units)


def episodes_needed(
    boot: Bootstrap, index: int, episodes: int, confidence: float, power: float
) -> int | None:
    """Estimate how many episodes, above the present number, would show a difference of this size.

    n = ((z of the confidence + z of the power) · spread / difference)², with the spread of single
    units (Cohen 1988, Statistical Power Analysis, 2.4), and as many episodes in each as in the
    present ones; None without a difference or a spread.
    """
    value, error = float(boot.values[index]), float(boot.errors[index])
    if value == 0 or error == 0:
        return None
    normal = NormalDist()
    z = normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(power)
    needed = (z * error / value) ** 2 * episodes
    return max(int(np.ceil(min(needed, 1e9))), episodes + 1, FEWEST)


def mean_with_interval(boot: Bootstrap, index: int, confidence: float) -> MeanWithInterval:
    """Return a mean with its interval, for a result file."""
    low, high = boot.interval(index, confidence) or (None, None)
    return MeanWithInterval(
        value=float(boot.values[index]),
        low=low,
        high=high,
        confidence=confidence,
        method=boot.method,
        groups=boot.units,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for their number (Holm 1979, Scand. J. Statist. 6:65).

    It holds whatever their dependence, and bounds the probability of a single false claim: here
    comparisons are few, and each is read as a claim by itself. A comparison without a p value
    counts in their number, and has no adjusted one.
    """
    known = _known(p_values)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(np.argsort(known, kind="stable")):
        highest = max(highest, min(1.0, (len(known) - rank) * known[index]))
        adjusted[index] = None if p_values[index] is None else highest
    return adjusted


def _known(p_values: Sequence[float | None]) -> list[float]:
    """Return the p values, 1 for those that are not there: they support no claim."""
    return [1.0 if p is None else p for p in p_values]


def holm_confidence(p_values: Sequence[float | None], confidence: float) -> list[float]:
    """Return the confidence of each interval that agrees with :func:`holm`'s decisions.

    The i-th smallest p value is compared with (1 − confidence) / (m − i + 1); the interval of that
    confidence excludes 0 where the p value is smaller (Serlin 1993, J. Exp. Educ. 61:350). After
    the first that is not smaller, all take its confidence.
    """
    known = _known(p_values)
    levels, alpha, stopped = [0.0] * len(known), 0.0, False
    for rank, index in enumerate(np.argsort(known, kind="stable")):
        if not stopped:
            alpha = (1 - confidence) / (len(known) - rank)
            stopped = known[index] > alpha
        levels[index] = 1 - alpha
    return levels


def resamples(units: int, draws: int, seed: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of samples: how often each unit is in each of them, (B, n)."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // units)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = rng.integers(0, units, (count, units))
        drawn += np.arange(count)[:, None] * units
        times = np.bincount(drawn.ravel(), minlength=count * units)
        yield slice(start, start + count), times.reshape(count, units).astype(np.float64)

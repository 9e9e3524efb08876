"""How sure an average over episodes is: the bootstrap over episodes, and Wilson's interval.

The steps of an episode resemble each other, so what is drawn anew is whole episodes. Averages are
pooled over steps, that is ratios Σ sum / Σ count over the episodes, both drawn together.

With 50 episodes and more the interval is the percentile one. With fewer it is the bootstrap-t
(Efron and Tibshirani 1993, An Introduction to the Bootstrap, 12.5): the percentile interval is too
narrow there, with 20 normal values by about 3 % of coverage. Both are simulated in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

FEWEST = 8
"""With fewer episodes there is an interval, and no claim rests on it."""
MANY = 50
"""From so many episodes on, the percentile interval covers what it says."""
BLOCK = 1 << 20  # drawn episodes held at a time: memory stays flat however many there are


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Averages of K quantities over n episodes, and how they vary from sample to sample.

    Args:
        values: (K,) the averages Σ sum / Σ count.
        errors: (K,) their standard errors, by linearisation (Cochran 1977, 6.4).
        drawn: (draws, K) the averages of the samples; below :data:`MANY` episodes, how many of its
            own standard errors each lies above the average.
        episodes: n.
    """

    values: np.ndarray
    errors: np.ndarray
    drawn: np.ndarray
    episodes: int

    @property
    def method(self) -> Literal["percentile", "bootstrap-t"]:
        """How the intervals are made."""
        return "percentile" if self.episodes >= MANY else "bootstrap-t"

    def interval(self, index: int, confidence: float) -> tuple[float, float]:
        """Return the equal-tailed interval of one average."""
        if self.errors[index] == 0:
            return float(self.values[index]), float(self.values[index])
        tail = (1 - confidence) / 2
        # `inverted_cdf` takes one of the drawn values: the mean with an infinite one is none
        low, high = np.quantile(self.drawn[:, index], [tail, 1 - tail], method="inverted_cdf")
        if self.method == "percentile":
            return float(low), float(high)
        value, error = self.values[index], self.errors[index]
        return _finite(value - high * error), _finite(value - low * error)

    def chance(self, index: int) -> float:
        """Return the p value against 0: 1 − the largest confidence whose interval leaves 0 out."""
        if self.errors[index] == 0:
            return 1.0 if self.values[index] == 0 else 1 / (len(self.drawn) + 1)
        here = 0.0
        if self.method == "bootstrap-t":
            here = self.values[index] / self.errors[index]
        drawn = self.drawn[:, index]
        fewer = min((drawn <= here).sum(), (drawn >= here).sum())
        return float(min(1, 2 * (fewer + 1) / (len(drawn) + 1)))


def bootstrap(sums: np.ndarray, counts: np.ndarray, draws: int, seed: int) -> Bootstrap:
    """Draw episodes with replacement, all K quantities of an episode together.

    Differences between predictors are quantities like others: their sums are paired by episode.

    Args:
        sums: (n, K) each episode's sum of each quantity.
        counts: (n,) how many steps each sum is over.
        draws: number of samples.
        seed: the same seed gives the same samples.

    Raises:
        ValueError: there is no episode, or one without steps.
    """
    episodes = len(counts)
    if not episodes or not (counts > 0).all():
        raise ValueError("every episode needs at least one step")
    weights = counts / counts.mean()  # about 1, so that no sum of squares overflows
    sums = sums / counts.mean()
    values = sums.sum(axis=0) / weights.sum()
    residuals = sums - values * weights[:, None]  # (n, K)
    residuals[np.abs(residuals) < 1e-12 * np.abs(sums).max(initial=1e-300)] = 0
    correction = episodes / max(episodes - 1, 1)
    errors = np.sqrt(correction * np.square(residuals).sum(axis=0)) / weights.sum()
    drawn = np.empty((draws, sums.shape[1]))
    for rows, times in _samples(episodes, draws, seed):
        whole = times @ weights  # (B,)
        shift = (times @ residuals) / whole[:, None]  # (B, K) the sample's average less the average
        if episodes >= MANY:
            drawn[rows] = values + shift
            continue
        # Σ times · (residual − shift · weight)², of which all sums are products with `times`
        squares = (
            times @ np.square(residuals)
            - 2 * shift * (times @ (residuals * weights[:, None]))
            + np.square(shift) * (times @ np.square(weights))[:, None]
        )
        error = np.sqrt(correction * np.clip(squares, 0, None)) / whole[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = shift / error
        # A sample of one episode over and over has no spread: as far out as its average says.
        flat = error <= 1e-9 * errors
        far = np.where(shift > 0, np.inf, np.where(shift < 0, -np.inf, 0.0))
        drawn[rows] = np.where(flat, far, ratio)
    return Bootstrap(values, errors, drawn, episodes)


def needed(boot: Bootstrap, index: int, confidence: float, power: float) -> int | None:
    """Return about how many episodes would show a difference from 0 of the size that was found.

    n = ((z of the confidence + z of the power) · spread / difference)², with the spread of single
    episodes (Cohen 1988, Statistical Power Analysis, 2.4).

    Returns:
        The number, above the present one; None where no difference or no spread was found.
    """
    value, error = float(boot.values[index]), float(boot.errors[index])
    if value == 0 or error == 0:
        return None
    normal = NormalDist()
    z = normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(power)
    wanted = (z * error / value) ** 2 * boot.episodes
    return max(int(np.ceil(min(wanted, 1e9))), boot.episodes + 1, FEWEST)


def described(boot: Bootstrap, index: int, confidence: float) -> dict[str, Any]:
    """Return an average with its interval: ``{"value", "low", "high", "confidence", "method"}``.

    A bound that few episodes leave open is null.
    """
    low, high = boot.interval(index, confidence)
    return {
        "value": float(boot.values[index]),
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
        "confidence": confidence,
        "method": boot.method,
        "episodes": boot.episodes,
    }


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927, JASA 22:209), within [0, 1].

    Raises:
        ValueError: there is no trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = successes / trials, z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * (share * (1 - share) / trials + weight / trials / 4) ** 0.5
    low = 0.0 if successes == 0 else centre - half  # where rounding would leave 1e-17
    return low, 1.0 if successes == trials else centre + half


def holm(chances: list[float]) -> list[float]:
    """Return p values adjusted for how many there are (Holm 1979, Scand. J. Statist. 6:65).

    It holds whatever their dependence, which Benjamini and Hochberg's does not, and bounds the
    chance of a single false claim rather than the share of false ones: here few comparisons are
    made, and each is read as a claim of its own.
    """
    order = np.argsort(chances, kind="stable")
    adjusted, highest = [0.0] * len(chances), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[index]))
        adjusted[index] = highest
    return adjusted


def holm_confidence(chances: list[float], confidence: float) -> list[float]:
    """Return the confidence of each interval that agrees with :func:`holm`'s decisions.

    The i-th smallest p value is compared with (1 − confidence) / (m − i + 1); the interval of that
    confidence leaves 0 out where the p value is smaller (Serlin 1993, J. Exp. Educ. 61:350). After
    the first that is not, all take its confidence.
    """
    order = np.argsort(chances, kind="stable")
    found, alpha, stopped = [0.0] * len(chances), 0.0, False
    for rank, index in enumerate(order):
        if not stopped:
            alpha = (1 - confidence) / (len(chances) - rank)
            stopped = chances[index] > alpha
        found[index] = 1 - alpha
    return found


def _samples(episodes: int, draws: int, seed: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of samples: how often each of the episodes is in each of them, (B, n)."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // episodes)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = rng.integers(0, episodes, (count, episodes))
        drawn += np.arange(count)[:, None] * episodes
        times = np.bincount(drawn.ravel(), minlength=count * episodes)
        yield slice(start, start + count), times.reshape(count, episodes).astype(np.float64)


def _finite(value: float) -> float:
    return float(value) if not np.isnan(value) else 0.0

"""A share of successes with its interval, and the difference of two that are paired."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CONFIDENCE = 0.95
QUANTILE = 1.959963984540054  # of the normal distribution, for 95 % between both sides
DRAWS = 10_000
BLOCK = 2_000_000  # drawn values at a time: memory stays flat


def wilson(successes: int, trials: int) -> dict[str, Any]:
    """Return a share with its Wilson score interval (Wilson 1927, JASA 22:209).

    Unlike the normal approximation it stays within [0, 1], and has a width at 0 and ``trials``.

    Returns:
        ``{"successes", "trials", "rate", "low", "high", "confidence"}``.

    Raises:
        ValueError: there is no trial.
    """
    if trials < 1:
        raise ValueError("a share needs at least one trial")
    rate, spread = successes / trials, QUANTILE**2 / trials
    centre = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (rate * (1 - rate) + spread / 4)) / (1 + spread)
    return {
        "successes": successes,
        "trials": trials,
        "rate": rate,
        "low": max(0.0, centre - half) if successes else 0.0,
        "high": min(1.0, centre + half) if successes < trials else 1.0,
        "confidence": CONFIDENCE,
    }


def paired(differences: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Return the mean of paired differences with a bootstrap interval over the pairs.

    Percentile bootstrap (Efron 1979, Ann. Statist. 7:1); below about 20 units it is too narrow.

    Args:
        differences: (n,) one for each independent unit, such as a scene or an episode.
        seed: seed of the draws.

    Returns:
        ``{"mean", "low", "high", "confidence", "units"}``.

    Raises:
        ValueError: there is no unit.
    """
    count = len(differences)
    if count < 1:
        raise ValueError("an interval needs at least one unit")
    random, means = np.random.default_rng(seed), np.empty(DRAWS)
    size = max(1, BLOCK // count)
    for start in range(0, DRAWS, size):
        drawn = random.integers(0, count, (min(size, DRAWS - start), count))
        means[start : start + size] = differences[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {
        "mean": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "confidence": CONFIDENCE,
        "units": count,
    }

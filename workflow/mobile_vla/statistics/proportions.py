"""A share of successes with its interval, and a mean over paired units with one."""

from __future__ import annotations

from typing import Any

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.statistics.intervals import bootstrap, wilson


def share(successes: int, trials: int, uncertainty: Uncertainty) -> dict[str, Any]:
    """Return a share with Wilson's interval.

    Returns:
        ``{"successes", "trials", "rate", "low", "high", "confidence"}``.

    Raises:
        ValueError: there is no trial.
    """
    low, high = wilson(successes, trials, uncertainty.confidence)
    return {
        "successes": successes,
        "trials": trials,
        "rate": successes / trials,
        "low": low,
        "high": high,
        "confidence": uncertainty.confidence,
    }


def paired(differences: np.ndarray, uncertainty: Uncertainty) -> dict[str, Any]:
    """Return the mean of paired differences with a bootstrap interval over the pairs.

    Args:
        differences: (n,) one for each independent unit, such as a scene or an episode.
        uncertainty: draws, seed and confidence.

    Returns:
        ``{"mean", "low", "high", "confidence", "method", "units"}``; a bound that few units leave
        open is null.
    """
    boot = bootstrap(
        differences[:, None], np.ones(len(differences)), uncertainty.draws, uncertainty.seed
    )
    low, high = boot.interval(0, uncertainty.confidence)
    return {
        "mean": float(boot.values[0]),
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
        "confidence": uncertainty.confidence,
        "method": boot.method,
        "units": len(differences),
    }


def above(interval: dict[str, Any], border: float) -> bool:
    """Whether an interval lies above a border; an open bound lies nowhere."""
    return interval["low"] is not None and interval["low"] > border


def below(interval: dict[str, Any], border: float) -> bool:
    """Whether an interval lies below a border."""
    return interval["high"] is not None and interval["high"] < border

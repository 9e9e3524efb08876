"""Proportions and means of paired differences, with their intervals."""

from __future__ import annotations

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.statistics.intervals import bootstrap, closed, wilson
from mobile_vla.statistics.result import PairedMean, Proportion


def proportion(successes: int, trials: int, uncertainty: Uncertainty) -> Proportion:
    """Return a proportion with Wilson's interval.

    Raises:
        ValueError: there is no trial.
    """
    low, high = wilson(successes, trials, uncertainty.confidence)
    return Proportion(
        successes=successes,
        trials=trials,
        rate=successes / trials,
        low=low,
        high=high,
        confidence=uncertainty.confidence,
    )


def paired_mean(differences: np.ndarray, uncertainty: Uncertainty) -> PairedMean:
    """Return the mean of paired differences with a bootstrap interval over the pairs.

    Args:
        differences: (n,) one for each independent unit, such as a scene or an episode.
        uncertainty: draws, seed and confidence.
    """
    boot = bootstrap(
        differences[:, None], np.ones(len(differences)), uncertainty.draws, uncertainty.seed
    )
    low, high = boot.interval(0, uncertainty.confidence)
    return PairedMean(
        mean=float(boot.values[0]),
        low=closed(low),
        high=closed(high),
        confidence=uncertainty.confidence,
        method=boot.method,
        units=len(differences),
    )

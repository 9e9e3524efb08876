"""Proportions and means of paired differences, with their intervals."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.statistics.intervals import bootstrap
from mobile_vla.statistics.result import PairedMean, Proportion


def proportion(successes: int, trials: int, uncertainty: Uncertainty) -> Proportion:
    """Return a proportion with Wilson's score interval (Wilson 1927, JASA 22:209).

    Raises:
        ValueError: there is no trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials}")
    z = NormalDist().inv_cdf((1 + uncertainty.confidence) / 2)
    share, weight = successes / trials, z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * (share * (1 - share) / trials + weight / trials / 4) ** 0.5
    return Proportion(
        successes=successes,
        trials=trials,
        rate=share,
        low=0.0 if successes == 0 else centre - half,  # where rounding would leave 1e-17
        high=1.0 if successes == trials else centre + half,
        confidence=uncertainty.confidence,
    )


def paired_mean(differences: np.ndarray, uncertainty: Uncertainty) -> PairedMean:
    """Return the mean of paired differences with a bootstrap interval over the pairs.

    Args:
        differences: (n,) one for each independent unit, such as a scene or an episode.
    """
    units = len(differences)
    boot = bootstrap(differences[:, None], np.ones(units), uncertainty.draws, uncertainty.seed)
    low, high = boot.interval(0, uncertainty.confidence) or (None, None)
    return PairedMean(
        mean=float(boot.values[0]),
        low=low,
        high=high,
        confidence=uncertainty.confidence,
        method=boot.method,
        units=units,
    )

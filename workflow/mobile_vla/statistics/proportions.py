"""Proportions and means of paired differences, with their intervals."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

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


def paired_mean(
    differences: ArrayLike, uncertainty: Uncertainty, of: ArrayLike | None = None
) -> PairedMean:
    """Return the mean of paired differences with a bootstrap interval over independent units.

    Args:
        differences: (n,) one for each pair.
        of: (n,) the unit of each pair, such as the number of its scene, both sides of which are
            dependent; a unit counts by its mean. None: each pair is a unit of its own.
    """
    means = np.asarray(differences, dtype=np.float64)
    if of is not None:
        places = np.unique(of, return_inverse=True)[1]
        means = np.bincount(places, means) / np.bincount(places)
    units = len(means)
    boot = bootstrap(means[:, None], np.ones(units), uncertainty.draws, uncertainty.seed)
    low, high = boot.interval(0, uncertainty.confidence) or (None, None)
    return PairedMean(
        mean=float(boot.values[0]),
        low=low,
        high=high,
        confidence=uncertainty.confidence,
        method=boot.method,
        units=units,
    )

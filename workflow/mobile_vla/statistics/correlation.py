"""Spearman's rank correlation with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.statistics.intervals import resamples
from mobile_vla.statistics.result import RankCorrelation

FEWEST_POINTS = 4  # of three points, one order in six is perfect by chance
OPEN_SHARE = 0.5  # of the samples, in which a correlation may be undefined


def rank_correlation(
    one: Sequence[float], other: Sequence[float], uncertainty: Uncertainty
) -> RankCorrelation:
    """Return the correlation of the ranks of n points' two values, equal values with their mean.

    It is Pearson's correlation of the ranks (Spearman 1904, Am. J. Psychol. 15:72; ties as in
    Kendall 1945, Biometrika 33:239). The interval is the percentile interval over samples of n
    points with replacement (Efron and Tibshirani 1993, An Introduction to the Bootstrap, 13.3);
    samples in which all points have the same rank are left out.

    There is no coefficient for fewer than :data:`FEWEST_POINTS`, or where all points have the same
    value, and no interval where too many samples are left out. Nor is there one of a coefficient of
    1 or −1: all samples would have it too, however few the points are.
    """
    places = [np.unique(np.asarray(values), return_inverse=True)[1] for values in (one, other)]
    points, confidence = len(one), uncertainty.confidence
    value = low = high = why = None
    if points < FEWEST_POINTS:
        why = "few"
    elif not all(place.any() for place in places):  # all in the first place
        why = "constant"
    else:
        value = float(_correlations(places, np.ones((1, points)))[0])
        drawn = np.concatenate(
            [
                _correlations(places, times)
                for _, times in resamples(points, uncertainty.draws, uncertainty.seed)
            ]
        )
        defined = drawn[~np.isnan(drawn)]
        if len(defined) >= OPEN_SHARE * len(drawn) and not np.isclose(abs(value), 1):
            tail = (1 - confidence) / 2
            low, high = map(float, np.quantile(defined, [tail, 1 - tail]))
    return RankCorrelation(
        points=points, value=value, low=low, high=high, confidence=confidence, why_none=why
    )


def _correlations(places: Sequence[np.ndarray], times: np.ndarray) -> np.ndarray:
    """Return the correlation of the ranks in each of B samples, NaN where it is undefined.

    Args:
        places: of each of two values (n,), the place of each point's among the distinct ones.
        times: (B, n) how often each point is in a sample.
    """
    ranks = []
    for place in places:
        order = np.argsort(place, kind="stable")
        starts = np.flatnonzero(np.diff(place[order], prepend=-1))
        counts = np.add.reduceat(times[:, order], starts, axis=1)  # (B, G) of each distinct value
        middle = np.cumsum(counts, axis=1) - (counts - 1) / 2  # their mean rank
        ranks.append(middle[:, place] - (times.sum(axis=1, keepdims=True) + 1) / 2)
    first, second = ranks  # (B, n) each less the mean rank
    spread = np.sqrt((times * first**2).sum(axis=1) * (times * second**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = (times * first * second).sum(axis=1) / spread
    return np.clip(found, -1, 1)

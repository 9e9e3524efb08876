"""Spearman's rank correlation, against scipy's."""

import numpy as np
import pytest
from scipy import stats

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.statistics.correlation import rank_correlation

UNCERTAINTY = Uncertainty(draws=1000)


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_coefficient_is_scipys_with_and_without_ties(levels):
    rng = np.random.default_rng(levels)
    for points in (4, 7, 30):
        one = rng.integers(0, levels, points) / levels
        other = one + rng.integers(0, levels, points) / levels
        found = rank_correlation(one.tolist(), other.tolist(), UNCERTAINTY)
        assert found.value == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
        assert found.points == points and found.why_none is None


def test_the_interval_is_that_of_scipys_coefficient_over_samples_with_replacement():
    rng = np.random.default_rng(0)
    one = rng.normal(size=25)
    other = one + rng.normal(size=25)
    found = rank_correlation(one.tolist(), other.tolist(), UNCERTAINTY)
    drawn = [
        stats.spearmanr(one[kept], other[kept]).statistic for kept in rng.integers(0, 25, (400, 25))
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.08)
    assert found.low < found.value < found.high and found.confidence == 0.95


def test_it_depends_on_the_order_alone_and_not_on_the_points_order():
    one, other = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 4.0]
    found = rank_correlation(one, other, UNCERTAINTY)
    assert found.value == pytest.approx(0.8)
    assert rank_correlation([value**3 for value in one], other, UNCERTAINTY) == found
    falling = rank_correlation([-value for value in one], other, UNCERTAINTY)
    assert (falling.value, falling.low, falling.high) == pytest.approx(
        (-found.value, -found.high, -found.low)
    )


def test_three_points_and_equal_values_have_none():
    few = rank_correlation([1, 2, 3], [1, 2, 3], UNCERTAINTY)
    assert (few.value, few.low, few.why_none, few.points) == (None, None, "few", 3)
    flat = rank_correlation([1, 2, 3, 4], [0.5] * 4, UNCERTAINTY)
    assert (flat.value, flat.high, flat.why_none) == (None, None, "constant")


def test_without_a_coefficient_in_most_samples_there_is_no_interval():
    """More than half of them lack one of the two points that differ."""
    apart = rank_correlation([0, 0, 0, 1], [1, 0, 0, 0], UNCERTAINTY)
    assert apart.value == pytest.approx(-1 / 3) and (apart.low, apart.high) == (None, None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_order_has_no_interval_since_every_sample_has_it_too(sign):
    found = rank_correlation([1, 2, 3, 4], [sign * value for value in (1, 2, 3, 4)], UNCERTAINTY)
    assert found.value == pytest.approx(sign) and (found.low, found.high) == (None, None)

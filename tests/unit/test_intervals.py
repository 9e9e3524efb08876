"""Intervals: what they cover in simulation, and what they are where theory says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.statistics import intervals
from mobile_vla.statistics.intervals import (
    Bootstrap,
    bootstrap,
    episodes_needed,
    holm,
    holm_confidence,
    mean_with_interval,
)
from mobile_vla.statistics.proportions import paired_mean, proportion

ONES = np.ones


def ends_of(boot: Bootstrap, index: int = 0, confidence: float = 0.95) -> tuple[float, float]:
    ends = boot.interval(index, confidence)
    assert ends is not None
    return ends


def coverage(episodes: int, trials: int, draws: int = 1000, skewed: bool = False) -> float:
    """Return how often the 95 % interval of a mean holds the true mean, 0."""
    rng = np.random.default_rng(episodes)
    # Each column is a data set of its own; they share the drawn episodes, which does not matter.
    values = rng.normal(size=(episodes, trials))
    if skewed:
        values = rng.exponential(size=(episodes, trials)) - 1
    boot = bootstrap(values, ONES(episodes), draws, 0)
    bounds = np.array([ends_of(boot, index) for index in range(trials)])
    return float(((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0)).mean())


@pytest.mark.parametrize("episodes", [8, 10, 20, 30, 50, 80, 200])
def test_a_95_percent_interval_of_normal_data_covers_93_to_97_percent(episodes: int) -> None:
    assert 0.93 <= coverage(episodes, 2000) <= 0.97


def test_the_percentile_interval_would_be_too_narrow_where_episodes_are_few(monkeypatch) -> None:
    assert coverage(10, 2000) > 0.93
    monkeypatch.setattr(intervals, "MANY", 2)
    assert coverage(10, 2000) < 0.92


def test_skewed_data_with_few_episodes_stay_near_their_nominal_coverage() -> None:
    assert 0.9 <= coverage(20, 2000, skewed=True) <= 0.97


def test_a_ratio_of_sums_over_episodes_of_different_length_is_covered() -> None:
    rng = np.random.default_rng(0)
    hits, trials = 0, 400
    for trial in range(trials):
        counts = rng.integers(5, 30, 60)
        means = rng.normal(size=60)
        # Longer episodes are no different: the pooled average's true value is 0.
        sums = counts * means + rng.normal(size=60) * np.sqrt(counts)
        low, high = ends_of(bootstrap(sums[:, None], counts, 1000, trial))
        hits += low <= 0 <= high
    assert 0.92 <= hits / trials <= 0.98


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    rng = np.random.default_rng(1)
    values = rng.gamma(2, size=80)
    low, high = ends_of(bootstrap(values[:, None], ONES(80), 20_000, 0), 0, 0.9)
    other = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=2
    ).confidence_interval
    assert (low, high) == pytest.approx((other.low, other.high), abs=0.01)


def test_the_small_sample_interval_of_normal_data_is_about_students() -> None:
    values = stats.norm.ppf((np.arange(15) + 0.5) / 15)
    boot = bootstrap(values[:, None], ONES(15), 50_000, 0)
    half = stats.t.ppf(0.975, 14) * values.std(ddof=1) / math.sqrt(15)
    assert boot.errors[0] == pytest.approx(values.std(ddof=1) / math.sqrt(15))
    assert boot.interval(0, 0.95) == pytest.approx((-half, half), rel=0.08)


def test_pooled_values_and_seeds() -> None:
    sums, counts = np.array([[3.0], [1.0], [8.0]]), np.array([3, 1, 4])
    first, again, other = (bootstrap(sums, counts, 1000, seed) for seed in (0, 0, 1))
    assert first.values[0] == 12 / 8
    assert np.array_equal(first.drawn, again.drawn)
    assert not np.array_equal(first.drawn, other.drawn)


def test_blocks_change_nothing(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    sums, counts = rng.normal(size=(60, 3)), rng.integers(1, 9, 60)
    whole = bootstrap(sums, counts, 1500, 3)
    monkeypatch.setattr(intervals, "BLOCK", 60 * 7)
    assert np.allclose(bootstrap(sums, counts, 1500, 3).drawn, whole.drawn, rtol=1e-12)


def test_p_values_and_intervals_agree() -> None:
    rng = np.random.default_rng(0)
    for episodes in (12, 70):
        values = rng.normal(0.3, 1, size=(episodes, 40))
        boot = bootstrap(values, ONES(episodes), 3000, 0)
        for index in range(40):
            low, high = ends_of(boot, index)
            p = boot.p_value(index, 0.95)
            assert p is not None
            assert (low > 0 or high < 0) == (p < 0.05)


@pytest.mark.parametrize("episodes", [10, 60])
def test_what_does_not_vary_is_certain(episodes: int) -> None:
    boot = bootstrap(np.full((episodes, 1), 0.3), ONES(episodes), 1000, 0)
    assert boot.interval(0, 0.95) == pytest.approx((0.3, 0.3))
    same = bootstrap(np.zeros((episodes, 1)), ONES(episodes), 1000, 0)
    assert same.interval(0, 0.95) == (0, 0)
    assert same.p_value(0, 0.95) == 1
    assert episodes_needed(same, 0, 20, 0.95, 0.8) is None


ALIKE = [0.0, 2.8e-4, 2.8e-4 + 1e-12, 2.8e-4 - 1e-12, 2.8e-4]


@pytest.mark.parametrize(
    "values",
    [
        [0.3],  # a single episode says nothing of others
        [0.0],
        [1.0, 2.0],
        [0.3, 0.3],  # two episodes that happen to be the same
        [0.1, 0.2, 0.9],
        ALIKE,  # one end would be open, and the other of any size
        [0.5 + 1e-9 * index for index in range(7)] + [0.9],
    ],
)
def test_an_interval_has_two_finite_ends_or_there_is_none_and_no_p_value(values) -> None:
    boot = bootstrap(np.array(values)[:, None], ONES(len(values)), 2000, 0)
    mean = mean_with_interval(boot, 0, 0.95)
    assert (mean.value, mean.low, mean.high) == (pytest.approx(np.mean(values)), None, None)
    assert boot.p_value(0, 0.95) is None
    pairs = paired_mean(np.array(values), Uncertainty(draws=2000))
    assert (pairs.low, pairs.high, pairs.above(-1), pairs.below(9)) == (None, None, False, False)


def test_dependent_pairs_count_as_one_unit_by_their_mean() -> None:
    uncertainty = Uncertainty(draws=1000)
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(12, 2))
    scenes = np.arange(12)[:, None] + np.zeros(2, int)
    order = rng.permutation(24)
    found = paired_mean(sides.ravel()[order], uncertainty, scenes.ravel()[order])
    whole = paired_mean(sides.mean(axis=1), uncertainty)
    assert (found.units, found.method) == (12, whole.method)
    assert (found.mean, found.low, found.high) == pytest.approx((whole.mean, whole.low, whole.high))
    with pytest.raises(ValueError):
        paired_mean([0.0, 1.0], uncertainty, [1])


@pytest.mark.parametrize("episodes", range(2, 13))
def test_whatever_the_episodes_both_ends_and_the_p_value_are_there_or_none_is(
    episodes: int,
) -> None:
    rng = np.random.default_rng(episodes)
    values = np.round(rng.normal(0.3, 1, (episodes, 30)), 0)  # many episodes are the same
    boot = bootstrap(values, ONES(episodes), 1000, 0)
    for index in range(30):
        ends, p = boot.interval(index, 0.95), boot.p_value(index, 0.95)
        assert (ends is None) == (p is None)
        if ends is not None and p is not None:
            assert np.isfinite(ends).all()
            assert (ends[0] > 0 or ends[1] < 0) == (p < 0.05)
            assert values[:, index].min() - 99 < ends[0] <= ends[1] < values[:, index].max() + 99


def test_the_number_of_episodes_needed_gives_about_the_power_asked_for() -> None:
    values = np.concatenate([np.full(10, 1.3), np.full(10, -0.7)])  # mean 0.3, spread 1
    boot = bootstrap(values[:, None], ONES(20), 1000, 0)
    count = episodes_needed(boot, 0, 20, 0.95, 0.8)
    assert count == pytest.approx((1.96 + 0.84) ** 2 * 20 / 19 / 0.09, abs=2)
    rng = np.random.default_rng(0)
    drawn = rng.choice(values, (count, 400))
    noticed = bootstrap(drawn, ONES(count), 1000, 0)
    power = np.mean([ends_of(noticed, index)[0] > 0 for index in range(400)])
    assert 0.74 <= power <= 0.87


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (120, 200)])
def test_wilson_agrees_with_scipy(successes: int, trials: int) -> None:
    for confidence in (0.9, 0.95):
        other = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
        found = proportion(successes, trials, Uncertainty(confidence=confidence))
        assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-9)
    with pytest.raises(ValueError, match="11 of 10"):
        proportion(11, 10, Uncertainty())


def test_holm_by_hand() -> None:
    # 0.01 · 4, 0.02 · 3, 0.03 · 2 (not below the one before), 0.4 · 1
    assert holm([0.4, 0.01, 0.03, 0.02]) == pytest.approx([0.4, 0.04, 0.06, 0.06])
    assert holm([]) == []
    # one that is not there counts in their number: 0.01 · 3, 0.04 · 2
    assert holm([0.04, None, 0.01]) == [pytest.approx(0.08), None, pytest.approx(0.03)]


def test_the_intervals_that_agree_with_holm() -> None:
    p_values = [0.4, 0.001, 0.03, 0.014]
    levels = holm_confidence(p_values, 0.95)
    # 0.001 < 0.05 / 4, 0.014 < 0.05 / 3, 0.03 > 0.05 / 2: from there on all alike
    assert levels == pytest.approx([1 - 0.025, 1 - 0.0125, 1 - 0.025, 1 - 0.05 / 3])
    for p, adjusted, level in zip(p_values, holm(p_values), levels, strict=True):
        assert adjusted is not None
        assert (adjusted < 0.05) == (p < 1 - level)

"""Statistics that are valid at every look: exact values, and exact rates of false claims."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.statistics.sequential import (
    chance_of_deciding,
    chance_of_evidence,
    difference_intervals,
    log_evidence,
    rate_intervals,
    running_counts,
)

ALPHA = 0.05


def evidence(wins: int, losses: int) -> float:
    return float(np.exp(log_evidence(wins, losses)))


def difference(wins: int, losses: int, ties: int, alpha: float = ALPHA) -> tuple[float, float]:
    low, high = difference_intervals(np.array([[wins, losses, ties]]), alpha)[0]
    return float(low), float(high)


def rate(successes: int, drives: int) -> tuple[float, float]:
    low, high = rate_intervals(np.array([successes]), np.array([drives]), ALPHA)[0]
    return float(low), float(high)


def test_evidence_of_eight_blocks_to_none_is_two_to_the_eighth_over_nine() -> None:
    assert evidence(8, 0) == pytest.approx(256 / 9)
    assert evidence(0, 0) == 1
    assert evidence(0, 8) == pytest.approx(evidence(8, 0))


@pytest.mark.parametrize(("wins", "losses"), [(8, 0), (11, 1), (14, 2), (16, 3), (18, 4), (20, 5)])
def test_it_decides_at_eight_to_none_and_not_one_block_earlier(wins: int, losses: int) -> None:
    assert evidence(wins - 1, losses) < 20 <= evidence(wins, losses)


def test_evidence_is_a_fair_bet_on_the_next_block_of_equal_policies() -> None:
    for wins in range(30):
        for losses in range(30):
            after = evidence(wins + 1, losses) + evidence(wins, losses + 1)
            assert after / 2 == pytest.approx(evidence(wins, losses))


def test_equal_policies_are_claimed_to_differ_less_often_than_promised() -> None:
    false = chance_of_evidence(0, 0, 2000, 1 / ALPHA, prior=None)
    assert 0.0270 < false[100] <= 0.0277
    assert 0.0365 < false[2000] <= 0.0371
    assert (np.diff(false) >= 0).all()


def test_the_dynamic_programming_counts_what_enumeration_counts() -> None:
    n, threshold = 12, 4.0
    sequences = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)  # (2^n, n) of ±1
    wins = np.cumsum(sequences == 1, axis=1)
    ever = np.logical_or.accumulate(
        log_evidence(wins, np.arange(1, n + 1) - wins) >= np.log(threshold), axis=1
    )
    found = chance_of_evidence(0, 0, n, threshold, prior=None)
    assert found == pytest.approx([0, *ever.mean(axis=0)])


def test_rates() -> None:
    assert rate(14, 20) == pytest.approx((0.3731, 0.9246), abs=5e-5)
    assert rate(10, 10) == pytest.approx((0.5831, 1), abs=5e-5)
    assert rate(0, 10) == pytest.approx((0, 1 - 0.5831), abs=5e-5)
    assert rate(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3"):
        rate(3, 2)


def test_a_watched_rate_is_ever_missed_in_less_than_the_promised_share() -> None:
    looks = [np.arange(n + 1) for n in range(1, 101)]
    drives = np.concatenate([np.full(len(look), len(look) - 1) for look in looks])
    ends = rate_intervals(np.concatenate(looks), drives, ALPHA)
    for p in (0.05, 0.3, 0.5, 0.85):
        missed, alive = 0.0, np.ones(1)  # the probability of each number of successes, in all looks
        for n in range(1, 101):
            alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
            low, high = ends[drives == n].T
            missed += alive[(p < low) | (p > high)].sum()
            alive[(p < low) | (p > high)] = 0.0
        assert 0.01 < missed <= 0.0365, p


def test_differences() -> None:
    assert difference(8, 0, 2) == pytest.approx((0.042, 0.993), abs=5e-4)
    assert difference(0, 0, 20) == pytest.approx((-0.2316, 0.2316), abs=5e-5)
    assert difference(0, 0, 0) == (-1, 1)
    assert difference(9, 0, 0)[1] == 1
    for counts in ((8, 0, 2), (3, 7, 5), (20, 1, 0), (400, 300, 900)):
        wins, losses, ties = counts
        low, high = difference(losses, wins, ties)
        assert difference(*counts) == pytest.approx((-high, -low), abs=1e-9)


def test_a_difference_excludes_0_exactly_when_the_evidence_decides() -> None:
    counts = np.array(
        [(w, n - w, t) for n in range(0, 26, 2) for w in range(n + 1) for t in (0, 9)]
    )
    ends = difference_intervals(counts, ALPHA)
    excluded = (ends[:, 0] > 0) | (ends[:, 1] < 0)
    assert (excluded == (log_evidence(counts[:, 0], counts[:, 1]) >= np.log(20))).all()
    assert excluded.any() and not excluded.all()


def test_a_difference_is_kept_between_its_ends_and_nowhere_else() -> None:
    """The ends are found by halving, which supposes that the kept differences are one interval."""
    x = np.linspace(-1, 1, 2001)[1::2]  # midpoints: another quadrature
    for wins, losses, ties in ((8, 0, 2), (3, 7, 5), (1, 0, 0), (0, 2, 30)):
        low, high = difference(wins, losses, ties)
        for delta in np.linspace(-0.99, 0.99, 67):
            stake = np.where(x > 0, x / (1 + delta), x / (1 - delta))
            factors = [1 + stake * (d - delta) for d in (1, -1, 0)]
            capital = np.mean(factors[0] ** wins * factors[1] ** losses * factors[2] ** ties)
            if min(abs(delta - low), abs(delta - high)) > 0.005:
                assert (capital < 20) == (low < delta < high), (wins, losses, ties, delta)


def test_the_forecast_is_that_of_simulated_blocks() -> None:
    counts, blocks = np.array([5, 1, 4]), 25
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(counts + 0.5, 20_000)
    drawn = (rng.random((20_000, blocks, 1)) > np.cumsum(shares, axis=1)[:, None]).sum(axis=2)
    wins = counts[0] + np.cumsum(drawn == 0, axis=1)
    losses = counts[1] + np.cumsum(drawn == 1, axis=1)
    ever = np.logical_or.accumulate(log_evidence(wins, losses) >= np.log(20), axis=1).mean(axis=0)
    assert chance_of_deciding(counts, blocks, 20) == pytest.approx([0, *ever], abs=0.012)
    assert (chance_of_deciding(np.array([8, 0, 2]), 3, 20) == 1).all()


def test_counts_run_over_blocks() -> None:
    assert running_counts(np.array([1, 0, -1])).tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 1]]
    assert running_counts(np.array([], int)).shape == (0, 3)

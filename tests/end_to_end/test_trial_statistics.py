"""Trials as a lab drives them, simulated: power, false claims among several, honest forecasts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mobile_vla.statistics.intervals import holm
from mobile_vla.statistics.sequential import chance_of_deciding, log_evidence, running_counts

pytestmark = pytest.mark.long

ALPHA = 0.05


def drives(rates: list[float], trials: int, blocks: int, seed: int) -> np.ndarray:
    """Return whether each policy arrives, (trials, blocks, policies)."""
    return np.random.default_rng(seed).random((trials, blocks, len(rates))) < rates


def evidence(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return log E after each block, (trials, blocks)."""
    wins = np.cumsum(one & ~other, axis=1)
    losses = np.cumsum(other & ~one, axis=1)
    return log_evidence(wins, losses)


@pytest.mark.parametrize(("rates", "share"), [([0.3, 0.7], 0.85), ([0.5, 0.8], 0.6)])
def test_a_difference_worth_having_is_mostly_decided_within_100_drives(rates, share):
    arrives = drives(rates, trials=20_000, blocks=50, seed=0)
    logs = evidence(arrives[..., 1], arrives[..., 0])
    first = np.argmax(logs >= np.log(1 / ALPHA), axis=1)
    decided = logs.max(axis=1) >= np.log(1 / ALPHA)
    wins = np.cumsum(arrives[..., 1].astype(int) - arrives[..., 0], axis=1)
    right = decided & (wins[np.arange(len(wins)), first] > 0)
    assert right.mean() >= share
    assert (decided & ~right).mean() < 0.005


def test_equal_policies_are_claimed_to_differ_as_rarely_as_computed():
    arrives = drives([0.5, 0.5], trials=20_000, blocks=200, seed=1)
    logs = evidence(arrives[..., 0], arrives[..., 1])
    assert 0.015 < (logs.max(axis=1) >= np.log(1 / ALPHA)).mean() < 0.0277 + 0.004


def test_of_five_equal_policies_a_claim_is_made_in_less_than_one_trial_of_twenty():
    arrives = drives([0.5] * 5, trials=4000, blocks=100, seed=2)
    pairs = itertools.combinations(range(5), 2)
    most = np.stack([evidence(arrives[..., i], arrives[..., j]).max(axis=1) for i, j in pairs])
    # p only falls, so that a claim that was ever made is made at the end.
    claimed = [min(holm(list(np.exp(-logs)))) <= ALPHA for logs in most.T]
    assert np.mean(claimed) <= ALPHA


def test_forecasts_come_true_as_often_as_they_say():
    """Over trials of any two rates, after 10, 20 and 30 of 60 blocks, in fifths of the forecast."""
    trials, budget, rng = 4000, 60, np.random.default_rng(3)
    rates = rng.random((trials, 1, 2))
    arrives = rng.random((trials, budget, 2)) < rates
    results = arrives[..., 0].astype(int) - arrives[..., 1]
    reached = evidence(arrives[..., 0], arrives[..., 1]) >= np.log(1 / ALPHA)
    for seen in (10, 20, 30):
        still_open = ~reached[:, :seen].any(axis=1)
        counts = np.stack([running_counts(own)[-1] for own in results[still_open, :seen]])
        known = {tuple(own): 0.0 for own in counts}
        for own in known:
            known[own] = chance_of_deciding(np.array(own), budget - seen, 1 / ALPHA)[-1]
        said = np.array([known[tuple(own)] for own in counts])
        came = reached[still_open].any(axis=1)
        assert abs(said.mean() - came.mean()) <= 0.10
        for low in np.arange(0, 1, 0.2):
            among = (said >= low) & (said < low + 0.2)
            if among.sum() >= 100:
                assert abs(said[among].mean() - came[among].mean()) <= 0.10, (seen, low)

"""Evidence, rates and differences that stay valid however often one looks at them.

Drives come in blocks, in each of which every policy drives the same scene once. Of two policies,
a block is won (the first alone succeeds), lost (the second alone) or a tie. What is computed here
are capitals of bets that are fair if the policies, the rate or the difference are as supposed:
whoever stops when it looks good errs with probability α at most (Ville's inequality; Ramdas et al.
2023, Statist. Sci. 38:576). Counts of several looks are arrays whose first axis is the look.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

NODES = 100  # of the Gauss–Legendre quadrature, on each half of the bets
HALVINGS = 40  # of an interval of length 1 or 2: to 1e-12


def running_counts(results: np.ndarray) -> np.ndarray:
    """Return wins, losses and ties after each block (n, 3) of results 1, −1 or 0 (n,)."""
    return np.cumsum(np.asarray(results)[:, None] == np.array([1, -1, 0]), axis=0)


def log_evidence(wins: ArrayLike, losses: ArrayLike) -> np.ndarray:
    """Return log E, E = 2^m / ((m + 1) · C(m, w)) with m = w + l, against equal policies.

    The capital of a bet on single blocks, averaged over all shares of wins (Robbins 1970, Ann.
    Math. Statist. 41:1397). Ties do not tell which policy is better.
    """
    wins, losses = np.asarray(wins), np.asarray(losses)
    m = wins + losses
    logs = _log_factorials(int(np.max(m, initial=0)) + 1)
    return m * np.log(2) + logs[wins] + logs[losses] - logs[m + 1]


def rate_intervals(successes: np.ndarray, drives: np.ndarray, alpha: float) -> np.ndarray:
    """Return {p : (n + 1) · Binomial(s; n, p) > α} at each look, (n, 2): valid at all of them.

    The mixture of :func:`log_evidence`, against every p in place of one half.

    Raises:
        ValueError: there are fewer than no successes, or more than drives.
    """
    won, drives = np.asarray(successes), np.asarray(drives)
    if not ((won >= 0) & (won <= drives)).all():
        raise ValueError(f"{won} of {drives}")
    lost = drives - won
    logs = _log_factorials(int(np.max(drives, initial=0)) + 1)
    constant = logs[drives + 1] - logs[won] - logs[lost]

    def inside(p: np.ndarray) -> np.ndarray:
        return constant + _times_log(won, p) + _times_log(lost, 1 - p) > np.log(alpha)

    return _ends(inside, won / np.maximum(drives, 1), 0.0, 1.0)


def difference_intervals(counts: np.ndarray, alpha: float) -> np.ndarray:
    """Return the interval of the first rate less the second at each look: (n, 3) -> (n, 2).

    With D = 1, −1 or 0 for each block it keeps every Δ at which the mean over x, uniform in
    (−1, 1), of ∏(1 + λ(D − Δ)) is below 1/α; λ is x / (1 + Δ) for x > 0, else x / (1 − Δ)
    (Waudby-Smith and Ramdas 2024, J. R. Stat. Soc. B 86:1). At Δ = 0 that mean is E: an interval
    excludes 0 exactly when E ≥ 1/α.
    """
    wins, losses, ties = np.asarray(counts).T
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    x, weights = (nodes + 1) / 2, weights / 4  # the weights of both halves sum to 1

    def half(won: np.ndarray, lost: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Return the part of x > 0; that of x < 0 is the same with the policies exchanged."""
        stake = x / (1 + delta)[:, None]  # (n, nodes)
        logs = _times_log(won[:, None], 1 + stake * (1 - delta)[:, None])
        logs += _times_log(lost[:, None], 1 - x)
        logs += _times_log(ties[:, None], 1 - stake * delta[:, None])
        return np.exp(logs) @ weights

    def inside(delta: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return half(wins, losses, delta) + half(losses, wins, -delta) < 1 / alpha

    # Where Δ is the observed difference no bet has won anything, so it is inside.
    start = (wins - losses) / np.maximum(wins + losses + ties, 1)
    return _ends(inside, start, -1.0, 1.0)


def chance_of_evidence(
    wins: int, losses: int, steps: int, threshold: float, prior: float | None
) -> np.ndarray:
    """Return the chance that E ≥ threshold is reached within 0 … steps further discordant blocks.

    Exact, by dynamic programming over the number of wins.

    Args:
        prior: each side's count in Pólya's urn, beside the blocks that were driven; None for
            policies that are equal.
    """
    reached, border = np.zeros(steps + 1), np.log(threshold)
    if log_evidence(wins, losses) >= border:
        return reached + 1
    logs, m = _log_factorials(wins + losses + steps + 1), wins + losses
    alive = np.ones(1)  # (k + 1,) the probability of each number of further wins, E below it
    for k in range(1, steps + 1):
        more = np.arange(k)
        win = 0.5 if prior is None else (wins + more + prior) / (m + k - 1 + 2 * prior)
        alive = np.append(alive * (1 - win), 0.0) + np.append(0.0, alive * win)
        won, lost = logs[wins : wins + k + 1], logs[losses : losses + k + 1][::-1]
        over = (m + k) * np.log(2) + won + lost - logs[m + k + 1] >= border
        reached[k] = reached[k - 1] + alive[over].sum()
        alive[over] = 0.0
    return reached


def chance_of_deciding(counts: np.ndarray, blocks: int, threshold: float) -> np.ndarray:
    """Return the chance that E ≥ threshold is reached within 0 … blocks further blocks.

    Future blocks are predicted by a Dirichlet(w + ½, l + ½, t + ½) (Jeffreys' prior): whether one
    is discordant by one of Pólya's urns, and who wins it by another.
    """
    wins, losses, ties = map(int, counts)
    reached = chance_of_evidence(wins, losses, blocks, threshold, prior=0.5)
    chances = np.zeros(blocks + 1)
    chances[0] = reached[0]
    discordant = np.ones(1)  # (k + 1,) the probability of each number of further discordant blocks
    for k in range(1, blocks + 1):
        more = np.arange(k)
        share = (wins + losses + 1 + more) / (wins + losses + ties + 1.5 + k - 1)
        discordant = np.append(discordant * (1 - share), 0.0) + np.append(0.0, discordant * share)
        chances[k] = discordant @ reached[: k + 1]
    return chances


def _log_factorials(most: int) -> np.ndarray:
    """Return log 0!, …, log most!."""
    return np.append(0.0, np.cumsum(np.log(np.arange(1, most + 1))))


def _times_log(count: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return count · log(value), which is 0 where the count is, also at a value of 0 or ∞."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count == 0, 0.0, count * np.log(value))


def _ends(
    inside: Callable[[np.ndarray], np.ndarray], start: np.ndarray, lowest: float, highest: float
) -> np.ndarray:
    """Return the ends (n, 2) of intervals around their starts by halving, from outside."""
    found = []
    for border in (lowest, highest):
        within, beyond = start.astype(np.float64), np.full(len(start), border)
        for _ in range(HALVINGS):
            middle = (within + beyond) / 2
            kept = inside(middle)
            within, beyond = np.where(kept, middle, within), np.where(kept, beyond, middle)
        found.append(beyond)
    return np.stack(found, axis=1)

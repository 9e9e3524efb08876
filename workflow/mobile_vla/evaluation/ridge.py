"""The baseline that is linear in the stored features: what can be read off without fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.evaluation.nearest import CANDIDATES, standard
from mobile_vla.evaluation.window_vectors import SIDES, Pictures


@dataclass(frozen=True, eq=False)
class Fit:
    """One chunk step's regression, for every penalty.

    Args:
        centre: (P,) mean of the features.
        intercept: (A,) mean of the actions.
        weights: by penalty, (P, A).
    """

    centre: np.ndarray
    intercept: np.ndarray
    weights: dict[float, np.ndarray]


class Standardised:
    """Features as zero-mean, unit-variance numbers, with the side's zeros and one behind them.

    Args:
        train: the windows that say what mean and variance are.
    """

    def __init__(self, train: Pictures):
        self.mean, self.spread = standard(train)
        self.width = len(self.mean) + len(SIDES)  # P

    def blocks(self, pictures: Pictures) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the features of some windows at a time, (n, P) float64, and which they are."""
        for block in pictures.blocks(CANDIDATES):
            side = np.eye(len(SIDES))[pictures.side[block]]
            yield block, np.hstack([(pictures.vectors[block] - self.mean) / self.spread, side])


def ridge(
    train: Pictures, val: Pictures, scored: Pictures, penalties: Sequence[float]
) -> tuple[np.ndarray, float]:
    """Predict each chunk step by ridge regression (Hoerl and Kennard 1970, Technometrics 12:55).

    Weights minimise mean(|action − weights · features|²) + penalty · |weights|², in closed form,
    with an intercept that is not penalised. A step that a training window lacks is fitted without
    that window.

    Args:
        train: the training windows.
        val: the validation windows, on which the penalty is chosen by the mean absolute error.
        scored: the windows to predict for.
        penalties: those to choose from, rising.

    Returns:
        (N, C, A) float32, and the chosen penalty.
    """
    features = Standardised(train)
    fits: list[Fit] = []
    for step in range(train.mask.shape[1]):
        has = train.mask[:, step]
        if not step or not np.array_equal(has, train.mask[:, step - 1]):
            centre, values, vectors = _covariance(train, features, has)
        intercept, products = _products(train, features, has, step, centre)
        turned = vectors.T @ products
        weights = {
            penalty: vectors @ (turned / (values + penalty)[:, None]) for penalty in penalties
        }
        fits.append(Fit(centre, intercept, weights))
    choice = penalties[0]
    if len(val):
        errors = [
            np.abs(_predict(fits, val, features, penalty) - val.chunks)[val.mask].mean()
            for penalty in penalties
        ]
        choice = penalties[int(np.argmin(errors))]
    return _predict(fits, scored, features, choice), choice


def _covariance(
    train: Pictures, features: Standardised, has: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean (P,) of the windows that count, and their covariance's eigenvectors."""
    gram, total = np.zeros((features.width, features.width)), np.zeros(features.width)
    for block, values in features.blocks(train):
        own = values[has[block]]
        gram += own.T @ own
        total += own.sum(axis=0)
    count = max(int(has.sum()), 1)
    centre = total / count
    values, vectors = np.linalg.eigh(gram / count - np.outer(centre, centre))
    return centre, np.clip(values, 0, None), vectors


def _products(
    train: Pictures, features: Standardised, has: np.ndarray, step: int, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean action (A,) of a step, and the features' covariance with it, (P, A)."""
    actions = train.chunks[has, step].astype(np.float64)
    count = max(len(actions), 1)
    intercept = actions.sum(axis=0) / count
    products = np.zeros((features.width, train.chunks.shape[2]))
    for block, values in features.blocks(train):
        own = has[block]
        off = train.chunks[block, step][own] - intercept
        products += (values[own] - centre).T @ off / count
    return intercept, products


def _predict(
    fits: Sequence[Fit], asked: Pictures, features: Standardised, penalty: float
) -> np.ndarray:
    found = np.zeros_like(asked.chunks)
    for block, values in features.blocks(asked):
        for step, fit in enumerate(fits):
            found[block, step] = fit.intercept + (values - fit.centre) @ fit.weights[penalty]
    return found

"""The ridge regression baseline: linear in the stored features, without fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.evaluation.nearest import CANDIDATES, standard
from mobile_vla.evaluation.window_vectors import SIDES, WindowVectors


@dataclass(frozen=True, eq=False)
class StepRegression:
    """The regression of a chunk step, for every penalty.

    Args:
        centre: (P,) mean of the features.
        intercept: (A,) mean of the actions.
        weights: by penalty, (P, A).
    """

    centre: np.ndarray
    intercept: np.ndarray
    weights: dict[float, np.ndarray]


class Standardised:
    """Features of zero mean and unit variance, followed by the side as a one-hot vector.

    Args:
        train: the windows that mean and variance are taken of.
    """

    def __init__(self, train: WindowVectors):
        self.mean, self.spread = standard(train)
        self.width = len(self.mean) + len(SIDES)  # P

    def blocks(self, windows: WindowVectors) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield which windows a block has, and their features, (n, P) float64."""
        for block in windows.blocks(CANDIDATES):
            side = np.eye(len(SIDES))[windows.side[block]]
            yield block, np.hstack([(windows.vectors[block] - self.mean) / self.spread, side])


def ridge(
    train: WindowVectors, val: WindowVectors, scored: WindowVectors, penalties: Sequence[float]
) -> tuple[np.ndarray, float]:
    """Predict each chunk step by ridge regression (Hoerl and Kennard 1970, Technometrics 12:55).

    Weights minimise mean(|action − weights · features|²) + penalty · |weights|², in closed form,
    with an intercept that is not penalised. A step that a training window lacks is fitted without
    that window.

    Args:
        train: the training windows.
        val: the validation windows, on which the penalty is chosen by the mean absolute error.
        scored: the windows to predict for.
        penalties: the penalties to choose from, rising.

    Returns:
        (N, C, A) float32, and the chosen penalty.
    """
    features = Standardised(train)
    fits: list[StepRegression] = []
    for step in range(train.mask.shape[1]):
        has = train.mask[:, step]
        if not step or not np.array_equal(has, train.mask[:, step - 1]):
            centre, values, vectors = _covariance(train, features, has)
        intercept, products = _products(train, features, has, step, centre)
        turned = vectors.T @ products
        weights = {
            penalty: vectors @ (turned / (values + penalty)[:, None]) for penalty in penalties
        }
        fits.append(StepRegression(centre, intercept, weights))
    choice = penalties[0]
    if len(val):
        errors = [
            np.abs(_predict(fits, val, features, penalty) - val.chunks)[val.mask].mean()
            for penalty in penalties
        ]
        choice = penalties[int(np.argmin(errors))]
    return _predict(fits, scored, features, choice), choice


def _covariance(
    train: WindowVectors, features: Standardised, has: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean (P,) of the windows that count, and their covariance's eigenvectors."""
    gram, total = np.zeros((features.width, features.width)), np.zeros(features.width)
    for block, values in features.blocks(train):
        kept = values[has[block]]
        gram += kept.T @ kept
        total += kept.sum(axis=0)
    count = max(int(has.sum()), 1)
    centre = total / count
    values, vectors = np.linalg.eigh(gram / count - np.outer(centre, centre))
    return centre, np.clip(values, 0, None), vectors


def _products(
    train: WindowVectors, features: Standardised, has: np.ndarray, step: int, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean action (A,) of a step, and the features' covariance with it, (P, A)."""
    actions = train.chunks[has, step].astype(np.float64)
    count = max(len(actions), 1)
    intercept = actions.sum(axis=0) / count
    products = np.zeros((features.width, train.chunks.shape[2]))
    for block, values in features.blocks(train):
        kept = has[block]
        offset = train.chunks[block, step][kept] - intercept
        products += (values[kept] - centre).T @ offset / count
    return intercept, products


def _predict(
    fits: Sequence[StepRegression], windows: WindowVectors, features: Standardised, penalty: float
) -> np.ndarray:
    predicted = np.zeros_like(windows.chunks)
    for block, values in features.blocks(windows):
        for step, fit in enumerate(fits):
            predicted[block, step] = fit.intercept + (values - fit.centre) @ fit.weights[penalty]
    return predicted

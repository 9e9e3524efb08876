"""Baselines on stored features: nearest neighbours and ridge regression."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.data.dataset import Dataset
from mobile_vla.data.windows import WindowTable
from mobile_vla.features.store import Rows

BLOCK = 256  # frames read at a time
QUERIES, CANDIDATES = 256, 4096  # windows compared at a time: memory stays flat
SIDES: Sequence[str | None] = (None, "left", "right")


@dataclass(frozen=True, eq=False)
class WindowVectors:
    """N windows, each a vector, with their chunks."""

    vectors: np.ndarray  # (N, D) float32, memory-mapped, so that it costs no memory
    side: np.ndarray  # (N,) int, index of each window's side in `SIDES`
    chunks: np.ndarray  # (N, C, A) float32 in command units
    mask: np.ndarray  # (N, C) bool, true where the step exists

    def __len__(self) -> int:
        return len(self.vectors)

    def blocks(self, size: int) -> Iterator[slice]:
        """Yield all windows in their order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def mean_error(self, predicted: np.ndarray) -> float:
        """Return the mean absolute error of predicted chunks (N, C, A)."""
        return float(np.abs(predicted - self.chunks)[self.mask].mean())


def vectors_of(
    dataset: Dataset, table: WindowTable, rows: Rows, actions: np.ndarray
) -> WindowVectors:
    """Read the features of each window's last frame, averaged over the image's tokens.

    ``rows`` are (rows, tokens, D) or (rows, D), ``actions`` (rows, A).
    """
    last = table.frames[:, -1]  # (N,)
    vectors = np.zeros((0, 1), dtype=np.float32)
    for start in range(0, len(last), BLOCK):
        features = rows[last[start : start + BLOCK]].float()
        pooled = features.mean(dim=1) if features.ndim == 3 else features  # (n, D)
        if not start:
            with tempfile.TemporaryFile() as file:  # without a name: removed with the process
                shape = (len(last), pooled.shape[1])
                vectors = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
        vectors[start : start + BLOCK] = pooled.numpy()
    sides = [SIDES.index(dataset.episodes[index].scenario.get("side")) for index in table.episode]
    side = np.array(sides, dtype=np.int64)
    return WindowVectors(vectors, side, actions[table.targets], table.mask)


def nearest_neighbours(
    train: WindowVectors, val: WindowVectors, scored: WindowVectors, numbers: Sequence[int]
) -> tuple[np.ndarray, int]:
    """Predict the mean chunk of the k most similar training windows.

    Features are standardised by the training windows. The side, as a one-hot vector, weighs as much
    as all features together, so that neighbours are first of all of the same side. Equally distant
    windows come in the training windows' order. k is chosen on the validation windows by the mean
    absolute error, from rising numbers, and is at most the number of training windows.

    Returns:
        (N, C, A) float32, and the chosen k.
    """
    usable = sorted({min(k, len(train)) for k in numbers})
    mean, spread = standard(train)
    k = usable[0]
    if len(val):
        near = _nearest(train, val, mean, spread, usable[-1])
        k = min(usable, key=lambda k: val.mean_error(_mean_chunk(train, near[:, :k])))
    near = _nearest(train, scored, mean, spread, k)
    return _mean_chunk(train, near), k


def standard(train: WindowVectors) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature over the training windows, (D,) each.

    A feature that never varies has an infinite deviation, so that it has no influence.
    """
    total = np.zeros((2, train.vectors.shape[1]))
    first = np.asarray(train.vectors[0], dtype=np.float64)  # near the mean: no cancellation
    for block in train.blocks(CANDIDATES):
        offset = train.vectors[block].astype(np.float64) - first
        total += offset.sum(axis=0), np.square(offset).sum(axis=0)
    shift, square = total / len(train)
    variance = np.clip(square - shift**2, 0, None)
    floor = 1e-12 * np.maximum(square, 1e-300)
    return first + shift, np.where(variance > floor, np.sqrt(variance), np.inf)


def _nearest(
    train: WindowVectors, queried: WindowVectors, mean: np.ndarray, spread: np.ndarray, k: int
) -> np.ndarray:
    """Return the indices of the k nearest training windows of each queried window, (N, k)."""
    neighbours = np.zeros((len(queried), k), dtype=np.int64)
    between_sides = np.isfinite(spread).sum() * (1.0 - np.eye(len(SIDES)))
    for queries in queried.blocks(QUERIES):
        query = (queried.vectors[queries] - mean) / spread  # (q, D)
        distance = np.full((len(query), k), np.inf)
        index = np.zeros((len(query), k), dtype=np.int64)
        for block in train.blocks(CANDIDATES):
            others = (train.vectors[block] - mean) / spread  # (t, D)
            squared = (
                np.square(query).sum(axis=1)[:, None]
                - 2 * query @ others.T
                + np.square(others).sum(axis=1)
                + between_sides[np.ix_(queried.side[queries], train.side[block])]
            )
            distances = np.concatenate([distance, squared], axis=1)
            places = np.tile(np.arange(block.start, block.stop), (len(query), 1))
            indices = np.concatenate([index, places], axis=1)
            best = np.argsort(distances, axis=1, kind="stable")[:, :k]
            distance = np.take_along_axis(distances, best, axis=1)
            index = np.take_along_axis(indices, best, axis=1)
        neighbours[queries] = index
    return neighbours


def _mean_chunk(train: WindowVectors, near: np.ndarray) -> np.ndarray:
    """Return the mean chunk of each row of neighbours (N, k): (N, C, A) float32.

    A step that none of them has is that of the mean over all training windows.
    """
    weight = train.mask.astype(np.float64)[..., None]  # (T, C, 1)
    overall = (train.chunks * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)  # (C, A)
    total = np.zeros((len(near), *overall.shape))
    count = np.zeros((len(near), len(overall), 1))
    for column in near.T:
        total += train.chunks[column] * weight[column]
        count += weight[column]
    return np.where(count > 0, total / np.maximum(count, 1), overall).astype(np.float32)


@dataclass(frozen=True, eq=False)
class StepRegression:
    """The regression of a chunk step, for every penalty."""

    centre: np.ndarray  # (P,) mean of the features
    intercept: np.ndarray  # (A,) mean of the actions
    weights: dict[float, np.ndarray]  # by penalty, (P, A)


class Standardised:
    """Features standardised by the training windows, followed by the side as one-hot vector."""

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
    that window. The penalty is chosen on the validation windows by the mean absolute error.

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
        choice = min(penalties, key=lambda p: val.mean_error(_predict(fits, val, features, p)))
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

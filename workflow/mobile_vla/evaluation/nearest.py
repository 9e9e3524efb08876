"""The baseline of nearest neighbours: the mean chunk of the most similar training windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.evaluation.window_vectors import SIDES, WindowVectors

QUERIES, CANDIDATES = 256, 4096  # windows compared at a time: memory stays flat


def nearest_neighbours(
    train: WindowVectors, val: WindowVectors, scored: WindowVectors, numbers: Sequence[int]
) -> tuple[np.ndarray, int]:
    """Predict the mean chunk of the k most similar training windows.

    Features are standardised by the training windows. The side, as a one-hot vector, weighs as much
    as all features together, so that neighbours are first of all of the same side. Equally distant
    windows come in the training windows' order.

    Args:
        train: the training windows.
        val: the validation windows, on which k is chosen by the mean absolute error.
        scored: the windows to predict for.
        numbers: the k to choose from, rising; no k is above the number of training windows.

    Returns:
        (N, C, A) float32, and the chosen k.
    """
    usable = sorted({min(k, len(train)) for k in numbers})
    mean, spread = standard(train)
    k = usable[0]
    if len(val):
        near = _nearest(train, val, mean, spread, usable[-1])
        errors = [
            np.abs(_mean_chunk(train, near[:, :k]) - val.chunks)[val.mask].mean() for k in usable
        ]
        k = usable[int(np.argmin(errors))]
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

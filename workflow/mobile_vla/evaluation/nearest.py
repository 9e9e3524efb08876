"""The baseline that looks up the most similar training pictures and repeats what was done there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.evaluation.window_vectors import SIDES, Pictures

QUERIES, CANDIDATES = 256, 4096  # windows compared at a time: memory stays flat


def nearest_neighbours(
    train: Pictures, val: Pictures, scored: Pictures, numbers: Sequence[int]
) -> tuple[np.ndarray, int]:
    """Predict the mean chunk of the k most similar training windows.

    Features are standardised by the training windows. The side, as a vector of zeros and a one,
    weighs as much as all features together, so that a neighbour is first of all one of the same
    side. Equally distant ones come in the training windows' order.

    Args:
        train: the training windows.
        val: the validation windows, on which k is chosen by the mean absolute error.
        scored: the windows to predict for.
        numbers: the k to choose from, rising; those above the number of training windows are one.

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


def standard(train: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature over the training windows, (D,) each.

    A feature that never varies has an infinite deviation, so that it counts for nothing.
    """
    total = np.zeros((2, train.vectors.shape[1]))
    first = np.asarray(train.vectors[0], dtype=np.float64)  # near the mean: nothing cancels
    for block in train.blocks(CANDIDATES):
        off = train.vectors[block].astype(np.float64) - first
        total += off.sum(axis=0), np.square(off).sum(axis=0)
    shift, square = total / len(train)
    variance = np.clip(square - shift**2, 0, None)
    floor = 1e-12 * np.maximum(square, 1e-300)
    return first + shift, np.where(variance > floor, np.sqrt(variance), np.inf)


def _nearest(
    train: Pictures, asked: Pictures, mean: np.ndarray, spread: np.ndarray, k: int
) -> np.ndarray:
    """Return the indices of the k nearest training windows of each one asked, (N, k)."""
    found = np.zeros((len(asked), k), dtype=np.int64)
    apart = np.isfinite(spread).sum() * (1.0 - np.eye(len(SIDES)))  # between sides
    for queries in asked.blocks(QUERIES):
        wanted = (asked.vectors[queries] - mean) / spread  # (q, D)
        distance = np.full((len(wanted), k), np.inf)
        index = np.zeros((len(wanted), k), dtype=np.int64)
        for block in train.blocks(CANDIDATES):
            others = (train.vectors[block] - mean) / spread  # (t, D)
            squared = (
                np.square(wanted).sum(axis=1)[:, None]
                - 2 * wanted @ others.T
                + np.square(others).sum(axis=1)
                + apart[np.ix_(asked.side[queries], train.side[block])]
            )
            every = np.concatenate([distance, squared], axis=1)
            places = np.tile(np.arange(block.start, block.stop), (len(wanted), 1))
            names = np.concatenate([index, places], axis=1)
            best = np.argsort(every, axis=1, kind="stable")[:, :k]
            distance = np.take_along_axis(every, best, axis=1)
            index = np.take_along_axis(names, best, axis=1)
        found[queries] = index
    return found


def _mean_chunk(train: Pictures, near: np.ndarray) -> np.ndarray:
    """Return the mean chunk of each row of neighbours (N, k): (N, C, A) float32.

    A step that none of them has is that of all training windows' mean.
    """
    weight = train.mask.astype(np.float64)[..., None]  # (T, C, 1)
    usual = (train.chunks * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)  # (C, A)
    total = np.zeros((len(near), *usual.shape))
    count = np.zeros((len(near), len(usual), 1))
    for column in near.T:
        total += train.chunks[column] * weight[column]
        count += weight[column]
    return np.where(count > 0, total / np.maximum(count, 1), usual).astype(np.float32)

"""Errors of S predicted actions against the truth, both (S, A) in command units.

Every value counts once: a mean over windows' means would weigh partly masked windows more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.evaluation.result import Errors


def errors(prediction: np.ndarray, truth: np.ndarray, dimensions: Sequence[str]) -> Errors:
    """Return MAE, MSE, RMSE and R², overall and for each dimension.

    MAE and RMSE are in command units, MSE in their square. The overall RMSE is the root of the
    overall MSE, not the mean of the dimensions' RMSE. R² is 1 − Σ(error²) / Σ((truth − mean)²); the
    overall R² uses the sums over the dimensions (scikit-learn's ``variance_weighted``). It is None
    where the truth does not vary.

    Raises:
        ValueError: the shapes do not belong together, or there is no step.
    """
    if not len(truth):
        raise ValueError("no step to average over")
    return errors_by(prediction, truth, np.zeros(len(truth), dtype=np.int64), 1, dimensions)[0]


def errors_by(
    prediction: np.ndarray,
    truth: np.ndarray,
    group: np.ndarray,
    count: int,
    dimensions: Sequence[str],
) -> list[Errors]:
    """Return :func:`errors` of each of ``count`` groups; ``group`` is that of each step, (S,).

    Raises:
        ValueError: the shapes do not belong together, or a group is empty.
    """
    expected = (len(group), len(dimensions))
    if prediction.shape != expected or truth.shape != expected:
        raise ValueError(
            f"prediction {prediction.shape} and truth {truth.shape} must both be {expected}"
        )
    steps = np.bincount(group, minlength=count)  # (G,)
    if not steps.all():
        raise ValueError("a group without a step")
    error = prediction.astype(np.float64) - truth
    absolute = sums_by(np.abs(error), group, count)  # (G, A)
    squared = sums_by(np.square(error), group, count)
    mean = sums_by(truth, group, count) / steps[:, None]
    spread = sums_by(np.square(truth - mean[group]), group, count)
    spread[~_varies(truth, group, count)] = 0  # exactly, without rounding errors
    return [
        Errors(
            mae=_named(absolute[g] / n, dimensions),
            mse=_named(squared[g] / n, dimensions),
            rmse={name: mse**0.5 for name, mse in _named(squared[g] / n, dimensions).items()},
            r2=_explained(squared[g], spread[g], dimensions),
        )
        for g, n in enumerate(steps)
    ]


def sums_by(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Sum the rows of values (S, A) that belong to each group: (count, A) float64."""
    columns = [np.bincount(group, weights=column, minlength=count) for column in values.T]
    return np.stack(columns, axis=1)


def huber(
    prediction: np.ndarray, truth: np.ndarray, scale: float, delta: float, learnt: Sequence[int]
) -> float:
    """Return the mean Huber loss that training minimises, in normalised units.

    Huber 1964: e²/2 up to delta, and delta · (|e| − delta / 2) beyond. Only the columns that are
    learnt count: others would dilute the mean.
    """
    error = np.abs(prediction[:, learnt] - truth[:, learnt]) / scale
    loss = np.where(error <= delta, np.square(error) / 2, delta * (error - delta / 2))
    return float(loss.mean())


def _varies(truth: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Return whether the truth varies within each group, (count, A) bool."""
    low, high = np.full((2, count, truth.shape[1]), np.inf)
    high *= -1
    np.minimum.at(low, group, truth)
    np.maximum.at(high, group, truth)
    return np.asarray(low < high)


def match_rates(
    prediction: np.ndarray, truth: np.ndarray, tolerances: Sequence[float]
) -> list[float]:
    """Return the share of steps whose every dimension is within each tolerance of the truth.

    They form a curve, because a single tolerance could be chosen to make a predictor look good.
    """
    worst = np.sort(np.abs(prediction - truth).max(axis=1))  # (S,)
    rates: list[float] = (np.searchsorted(worst, tolerances, side="right") / len(worst)).tolist()
    return rates


def _named(values: np.ndarray, dimensions: Sequence[str]) -> dict[str, float]:
    return {"overall": float(values.mean()), **dict(zip(dimensions, values.tolist(), strict=True))}


def _explained(
    squared: np.ndarray, spread: np.ndarray, dimensions: Sequence[str]
) -> dict[str, float | None]:
    sums = {
        "overall": (squared.sum(), spread.sum()),
        **dict(zip(dimensions, zip(squared, spread, strict=True), strict=True)),
    }
    return {
        name: float(1 - error / total) if total > 0 else None
        for name, (error, total) in sums.items()
    }

"""Errors of predicted chunks, pooled over windows, chunk steps and dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 4096  # windows turned into float64 at a time: memory stays flat however many there are


class ErrorSums:
    """Running sums of absolute and squared errors, in float64.

    Every predicted value counts once: an average over windows of averages over steps would weigh
    the steps of a masked window more than those of a whole one.

    Args:
        dimensions: names of the A action dimensions, in the order of the arrays' last axis.
    """

    def __init__(self, dimensions: Sequence[str]):
        self.dimensions = tuple(dimensions)
        self.absolute = np.zeros(len(self.dimensions))  # (A,)
        self.squared = np.zeros(len(self.dimensions))  # (A,)
        self.steps = 0

    def add(self, prediction: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> None:
        """Count the unmasked steps of some windows.

        Args:
            prediction: predicted actions, (N, C, A), in raw command units.
            truth: true actions, (N, C, A), in raw command units.
            mask: (N, C) bool, true where the step exists.

        Raises:
            ValueError: the shapes do not belong together.
        """
        expected = (*mask.shape, len(self.dimensions))
        if prediction.shape != expected or truth.shape != expected:
            raise ValueError(
                f"prediction {prediction.shape} and truth {truth.shape} must both be {expected}"
            )
        for start in range(0, len(mask), BLOCK):
            block = slice(start, start + BLOCK)
            kept = mask[block]
            error = prediction[block][kept].astype(np.float64) - truth[block][kept]  # (S, A)
            self.absolute += np.abs(error).sum(axis=0)
            self.squared += np.square(error).sum(axis=0)
            self.steps += len(error)

    def averages(self) -> dict[str, dict[str, float]]:
        """Return ``{"mae": {"overall", DIMENSION…}, "mse": …, "rmse": …}``.

        MAE and RMSE are in raw command units, MSE in their square. The overall RMSE is the root of
        the overall MSE, not the mean of the dimensions' RMSE.

        Raises:
            ValueError: no step was counted.
        """
        if not self.steps:
            raise ValueError("no unmasked step to average over")
        mae = self._named(self.absolute)
        mse = self._named(self.squared)
        return {"mae": mae, "mse": mse, "rmse": {k: float(np.sqrt(v)) for k, v in mse.items()}}

    def _named(self, sums: np.ndarray) -> dict[str, float]:
        overall = float(sums.sum() / (self.steps * len(sums)))
        each = (sums / self.steps).tolist()
        return {"overall": overall, **dict(zip(self.dimensions, each, strict=True))}


def errors(
    prediction: np.ndarray, truth: np.ndarray, mask: np.ndarray, dimensions: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return MAE, MSE and RMSE, overall and for each dimension.

    Args:
        prediction: predicted actions, (N, C, A), in raw command units.
        truth: true actions, (N, C, A), in raw command units.
        mask: (N, C) bool, true where the step exists.
        dimensions: names of the A dimensions.

    Raises:
        ValueError: the shapes do not belong together, or every step is masked.
    """
    sums = ErrorSums(dimensions)
    sums.add(prediction, truth, mask)
    return sums.averages()

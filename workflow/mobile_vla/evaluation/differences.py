"""Each episode's absolute errors, and the paired differences between predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.metrics import sums_by
from mobile_vla.evaluation.result import POLICY, Difference
from mobile_vla.evaluation.scored_windows import ScoredSteps
from mobile_vla.statistics.intervals import bootstrap, closed, episodes_needed, holm


@dataclass(frozen=True, eq=False)
class ErrorSums:
    """Absolute errors of K predictors, summed over the steps and dimensions of n episodes.

    Args:
        names: of the K predictors.
        episodes: names of the n episodes that have a step.
        absolute: (n, K) in raw command units.
        values: (n,) number of values that each sum is over.
        steps: (n,) number of steps.
    """

    names: tuple[str, ...]
    episodes: tuple[str, ...]
    absolute: np.ndarray
    values: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(
        cls, steps: ScoredSteps, predictions: Mapping[str, np.ndarray], episodes: Sequence[str]
    ) -> ErrorSums:
        """Sum the errors of predictions (S, A).

        Args:
            steps: the S steps.
            predictions: by name.
            episodes: names that ``steps.episode`` counts.
        """
        indices, place = np.unique(steps.episode, return_inverse=True)
        count = len(indices)
        columns = [
            sums_by(np.abs(values - steps.truth), place, count).sum(axis=1)
            for values in predictions.values()
        ]
        number = np.bincount(place, minlength=count)
        return cls(
            tuple(predictions),
            tuple(episodes[index] for index in indices),
            np.stack(columns, axis=1),
            number * steps.truth.shape[1],
            number,
        )

    def mae(self) -> np.ndarray:
        """Return each episode's mean absolute error, (n, K)."""
        return np.asarray(self.absolute / self.values[:, None])


def differences(
    sums: ErrorSums, others: Sequence[str], uncertainty: Uncertainty
) -> dict[str, Difference]:
    """Return the policy's pooled error less that of each other predictor, paired by episode.

    Args:
        sums: the episodes' errors.
        others: names of the other predictors, for whose number p values are adjusted.
        uncertainty: confidence, draws, seed and power.
    """
    if not others:
        return {}
    columns = [sums.names.index(name) for name in others]
    paired = sums.absolute[:, [sums.names.index(POLICY)]] - sums.absolute[:, columns]
    boot = bootstrap(paired, sums.values, uncertainty.draws, uncertainty.seed)
    p_values = [boot.p_value(index) for index in range(len(others))]
    result = {}
    for index, (name, adjusted) in enumerate(zip(others, holm(p_values), strict=True)):
        low, high = boot.interval(index, uncertainty.confidence)
        needed = None
        if low <= 0 <= high:
            needed = episodes_needed(boot, index, uncertainty.confidence, uncertainty.power)
        result[name] = Difference(
            value=float(boot.values[index]),
            low=closed(low),
            high=closed(high),
            p=p_values[index],
            p_holm=adjusted,
            needed=needed,
        )
    return result

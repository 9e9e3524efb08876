"""Each episode's absolute errors, and the paired differences between predictors that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.metrics import sums_by
from mobile_vla.evaluation.steps import Steps
from mobile_vla.evaluation.verdict import Difference
from mobile_vla.statistics.intervals import bootstrap, holm, needed


@dataclass(frozen=True, eq=False)
class Sums:
    """Absolute errors of K predictors, summed over the steps and dimensions of n episodes.

    Args:
        names: of the K predictors.
        episodes: names of the n episodes that have a step.
        absolute: (n, K) in raw command units.
        values: (n,) how many values each sum is over.
        steps: (n,) how many steps.
        windows: (n,) how many windows.
    """

    names: tuple[str, ...]
    episodes: tuple[str, ...]
    absolute: np.ndarray
    values: np.ndarray
    steps: np.ndarray
    windows: np.ndarray

    @classmethod
    def of(
        cls, steps: Steps, predictions: Mapping[str, np.ndarray], episodes: Sequence[str]
    ) -> Sums:
        """Sum the errors of predictions (S, A).

        Args:
            steps: the S steps.
            predictions: by name.
            episodes: names that ``steps.episode`` counts.
        """
        there, place = np.unique(steps.episode, return_inverse=True)
        count = len(there)
        columns = [
            sums_by(np.abs(values - steps.truth), place, count).sum(axis=1)
            for values in predictions.values()
        ]
        number = np.bincount(place, minlength=count)
        _, first = np.unique(steps.window, return_index=True)
        return cls(
            tuple(predictions),
            tuple(episodes[index] for index in there),
            np.stack(columns, axis=1),
            number * steps.truth.shape[1],
            number,
            np.bincount(place[first], minlength=count),
        )

    def mae(self) -> np.ndarray:
        """Return each episode's mean absolute error, (n, K)."""
        return np.asarray(self.absolute / self.values[:, None])


def differences(
    sums: Sums, own: str, others: Sequence[str], uncertainty: Uncertainty
) -> dict[str, Difference]:
    """Return the pooled error of one predictor less that of each other one, paired by episode.

    Args:
        sums: the episodes' errors.
        own: a predictor's name.
        others: the others' names.
        uncertainty: confidence, draws, seed and power.
    """
    if not others:
        return {}
    column = sums.names.index(own)
    apart = sums.absolute[:, [column]] - sums.absolute[:, [sums.names.index(o) for o in others]]
    boot = bootstrap(apart, sums.values, uncertainty.draws, uncertainty.seed)
    chances = [boot.chance(index) for index in range(len(others))]
    found = {}
    for index, (name, adjusted) in enumerate(zip(others, holm(chances), strict=True)):
        low, high = boot.interval(index, uncertainty.confidence)
        inside = low <= 0 <= high
        found[name] = Difference(
            value=float(boot.values[index]),
            low=low if np.isfinite(low) else None,
            high=high if np.isfinite(high) else None,
            p=chances[index],
            p_holm=adjusted,
            needed=needed(boot, index, uncertainty.confidence, uncertainty.power)
            if inside
            else None,
        )
    return found

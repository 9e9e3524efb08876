"""How often a prediction is close enough, as a curve over what is called close enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def match_rates(
    prediction: np.ndarray, truth: np.ndarray, tolerances: Sequence[float]
) -> list[float]:
    """Return the share of steps whose every dimension is within each tolerance of the truth.

    A rate at one tolerance can be chosen to please; a curve cannot.

    Args:
        prediction: (S, A) in raw command units.
        truth: (S, A) in raw command units.
        tolerances: largest errors that count as a match, in raw command units.
    """
    worst = np.sort(np.abs(prediction - truth).max(axis=1))  # (S,)
    return (np.searchsorted(worst, tolerances, side="right") / len(worst)).tolist()

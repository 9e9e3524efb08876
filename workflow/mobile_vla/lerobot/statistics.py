"""Compute the statistics that LeRobot normalises by, of each feature.

Minimum, maximum, mean, standard deviation (of the population), count, and the quantiles 1, 10, 50,
90 and 99 %. LeRobot's own writer takes them from a sample of the pixels and a histogram of the
values; here they are exact, with quantiles interpolated linearly between order statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
LEVELS = 256


def of_values(values: np.ndarray) -> dict[str, list[Any]]:
    """Return the statistics of a feature of numbers.

    Args:
        values: (T,) or (T, D).

    Returns:
        Lists of D numbers, of one for (T,); ``count`` is [T].
    """
    rows = values.astype(np.float64).reshape(len(values), -1)  # (T, D)
    computed = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([len(rows)]),
        **{name: np.quantile(rows, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {name: value.tolist() for name, value in computed.items()}


def histogram(image: np.ndarray) -> np.ndarray:
    """Return how often each level occurs in an image (H, W, 3) uint8: (3, 256) int64."""
    return np.stack([np.bincount(image[..., c].ravel(), minlength=LEVELS) for c in range(3)])


def of_images(counts: np.ndarray, images: int) -> dict[str, Any]:
    """Return the statistics of images, in [0, 1] and by channel.

    Args:
        counts: (3, 256) how often each level occurs in them.
        images: how many they are.

    Returns:
        Nested lists (3, 1, 1); ``count`` is [images].
    """
    levels = np.arange(LEVELS)
    total = counts.sum(axis=1)  # (3,)
    mean = counts @ levels / total
    variance = counts @ levels**2 / total - mean**2
    computed = {
        "min": np.array([np.flatnonzero(channel)[0] for channel in counts]),
        "max": np.array([np.flatnonzero(channel)[-1] for channel in counts]),
        "mean": mean,
        "std": np.sqrt(np.maximum(variance, 0)),
        **{name: _quantile(counts, share) for name, share in QUANTILES.items()},
    }
    scaled = {name: (value / 255).reshape(3, 1, 1).tolist() for name, value in computed.items()}
    return {**scaled, "count": [images]}


def _quantile(counts: np.ndarray, share: float) -> np.ndarray:
    """Return a quantile of each row's levels, (3,)."""
    ends = counts.cumsum(axis=1)  # (3, 256)
    place = (ends[:, -1] - 1) * share
    below, above = (
        np.array(
            [np.searchsorted(end, at, side="right") for end, at in zip(ends, edge, strict=True)]
        )
        for edge in (np.floor(place), np.ceil(place))
    )
    return below + (above - below) * (place - np.floor(place))


def flattened(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an episode's statistics as columns of the index: ``stats/FEATURE/mean``."""
    return {
        f"stats/{feature}/{name}": value
        for feature, values in statistics.items()
        for name, value in values.items()
    }

"""What all stages agree on: the size of a frame, the columns of an action, and its scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

FRAME_SIZE = 224  # pixels, both ways: what Kosmos-2's vision tower takes
FRAME_SHAPE = (FRAME_SIZE, FRAME_SIZE, 3)

ACTION_COLUMNS = ("linear_x", "linear_y", "angular_z")

Values = TypeVar("Values", bound=Any)
"""An array or a tensor."""


def columns_of(dimensions: Sequence[str]) -> list[int]:
    """Return where the predicted dimensions stand in an action."""
    return [ACTION_COLUMNS.index(name) for name in dimensions]


def normalise(actions: Values, scale: float) -> Values:
    """Turn raw command units into normalised ones: a command of ``scale`` becomes 1."""
    return actions / scale


def denormalise(actions: Values, scale: float) -> Values:
    """Turn normalised units back into raw command units: the inverse of :func:`normalise`."""
    return actions * scale

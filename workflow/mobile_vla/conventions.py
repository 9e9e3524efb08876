"""What all stages agree on: frames, actions and their scale, and the scenario's keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, get_args

FRAME_SIZE = 224  # pixels, both ways: what Kosmos-2's vision tower takes
FRAME_SHAPE = (FRAME_SIZE, FRAME_SIZE, 3)

Dimension = Literal["linear_x", "linear_y", "angular_z"]
"""A velocity of an action."""

ACTION_COLUMNS: tuple[Dimension, ...] = get_args(Dimension)

Language = Literal["en", "ko"]
"""Of the report and the page of the audit."""

ScenarioKey = Literal["obstacles", "layout", "side", "style", "distance"]
"""The parts of the scenario that an episode's name says."""

KNOWN_VALUES: dict[ScenarioKey, tuple[str, ...]] = {
    "obstacles": ("1box", "2box"),
    "layout": ("hori", "vert"),
    "side": ("left", "right"),
    "style": ("core", "variant"),
    "distance": ("close", "medium", "far"),
}
"""The values of each key in the collector's scheme of names; obstacles may be more."""

Values = TypeVar("Values", bound=Any)
"""An array or a tensor."""


def columns_of(dimensions: Sequence[str]) -> list[int]:
    """Return where the predicted dimensions stand in an action."""
    return [ACTION_COLUMNS.index(name) for name in dimensions]


def normalise(actions: Values, scale: float) -> Values:
    """Turn command units into normalised ones: a command of ``scale`` becomes 1."""
    return actions / scale


def denormalise(actions: Values, scale: float) -> Values:
    """Turn normalised units back into command units: the inverse of :func:`normalise`."""
    return actions * scale

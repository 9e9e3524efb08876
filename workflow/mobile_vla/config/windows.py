"""Settings of the samples: which actions are predicted, and from which frames."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mobile_vla.config.base import Settings
from mobile_vla.conventions import Dimension

Frames = Annotated[int, Field(ge=1, le=10_000)]


Full = Annotated[float, Field(ge=1e-6, le=1e6)]
Scale = Annotated[
    Annotated[Full, Tag("same")] | Annotated[dict[Dimension, Full], Tag("each")],
    Discriminator(lambda value: "each" if isinstance(value, dict) else "same"),
]


class Actions(Settings):
    """Which velocities are predicted, and what scales them to [-1, 1].

    The unit of commands and errors is the command unit: what is recorded, or with a scale for each
    dimension that scale, so that metres and degrees are not added.
    """

    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1)] = ("linear_x", "linear_y")
    """The predicted dimensions of the action, in this order."""
    scale: Scale = 1.15
    """The recorded command that becomes 1.0: one for all dimensions, or one for each, such as
    ``{linear_x: 0.3, angular_z: 60}``; declared, stored with the policy, inverted exactly."""
    constant: Literal["keep", "leave_out"] = "keep"
    """A dimension that never varies in the training episodes: ``keep`` predicts it like the others;
    ``leave_out`` takes it out of the loss, and the policy answers the constant."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.dimensions)) != len(self.dimensions):
            raise ValueError(f"each dimension once, found {', '.join(self.dimensions)}")
        if isinstance(self.scale, dict) and set(self.scale) != set(self.dimensions):
            raise ValueError(
                f"the scale is that of {', '.join(self.scale) or 'no dimension'}; expected one "
                f"number, or one for each of {', '.join(self.dimensions)}"
            )
        return self

    @property
    def full(self) -> float:
        """The command that becomes 1.0, in command units."""
        return 1.0 if isinstance(self.scale, dict) else self.scale

    @property
    def units(self) -> tuple[float, ...]:
        """What one command unit of each dimension is, as recorded."""
        if isinstance(self.scale, dict):
            return tuple(self.scale[name] for name in self.dimensions)
        return (1.0,) * len(self.dimensions)

    @property
    def limits(self) -> tuple[float, ...]:
        """The recorded command of each dimension that becomes 1.0."""
        return tuple(self.full * unit for unit in self.units)

    @property
    def said(self) -> str:
        """The scale in words, such as ``1.15`` or ``linear_x 0.3, angular_z 60``."""
        if not isinstance(self.scale, dict):
            return f"{self.scale:g}"
        return ", ".join(f"{name} {self.scale[name]:g}" for name in self.dimensions)


class Windows(Settings):
    """How an episode becomes training samples."""

    window: Frames
    """Consecutive observed frames W."""
    chunk: Frames
    """Consecutive actions C to predict from them."""
    stride: Frames = 1
    """Frames between the starts of neighbouring windows."""
    target: Literal["next", "current"] = "next"
    """The chunk's first action: the one after the window, or that of its last frame."""
    start: Literal["whole", "repeat"] = "whole"
    """Windows that begin before the episode: left out, or filled up with its first frame, as a
    robot that starts sees it. ``whole`` teaches nothing of the first W - 1 control steps."""
    tail: Literal["drop", "mask"] = "drop"
    """Windows whose chunk runs over the episode's end: left out, or its missing steps masked."""

    @property
    def frames_needed(self) -> int:
        """The length of the shortest episode that gives a window.

        It is W + C, or W + 1 where missing steps are masked; one less with ``target: current``,
        where the chunk begins at the window's last frame; and 1 in place of W with
        ``start: repeat``.
        """
        steps = self.chunk if self.tail == "drop" else 1
        return self.observed_needed + steps - (1 if self.target == "current" else 0)

    def count(self, frames: int) -> int:
        """Return how many windows an episode of that many frames gives."""
        spare = frames - self.frames_needed
        return 0 if spare < 0 else spare // self.stride + 1

    @property
    def observed_needed(self) -> int:
        """How many frames the first window of an episode has seen."""
        return 1 if self.start == "repeat" else self.window

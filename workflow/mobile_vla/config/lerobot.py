"""Settings of ``import_lerobot``: one episode of a LeRobotDataset becomes a raw file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mobile_vla.config.base import Count, NotNegative, Positive, Settings


class VideoSpan(Settings):
    """Where an episode stands in its video file."""

    start: NotNegative
    """Its ``from_timestamp``, in seconds."""
    fps: Positive
    """Frames a second."""


class ImportSettings(Settings):
    """What ``import_lerobot`` is given for one episode: all that its index says."""

    dataset: str
    episode: str
    index: Annotated[int, Field(ge=0)]
    """Its ``episode_index``."""
    frames: Count
    """T, as they are stored."""
    every: Count = 1
    """Frames 0, ``every``, 2 · ``every`` and so on are imported."""
    camera: str
    """Feature that holds its images."""
    video: VideoSpan | None = None
    """None where the images stand in the Parquet file."""
    columns: tuple[int | None, int | None, int | None]
    """Places of linear_x, linear_y and angular_z in the feature ``action``; None: always 0."""
    instruction: str | None
    event_types: tuple[str, ...] | None = None
    """One for each frame that is imported."""
    attributes: dict[str, Any]
    """Attributes of the raw file."""

"""Settings of ``import_lerobot`` and ``import_videos``: episodes of a LeRobotDataset."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mobile_vla.config.base import Count, NotNegative, Positive, Settings
from mobile_vla.config.ingest import Images

Columns = tuple[int | None, int | None, int | None]
"""Places of linear_x, linear_y and angular_z in the feature ``action``; None: always 0."""


class Imported(Settings):
    """What the index of a dataset says of an episode."""

    episode: str
    index: Annotated[int, Field(ge=0)]
    """Its ``episode_index``."""
    frames: Count
    """T, as they are stored."""
    instruction: str | None
    event_types: tuple[str, ...] | None = None
    """One for each frame that is imported."""
    attributes: dict[str, Any]
    """What stands in a raw file's attributes."""


class ImportSettings(Imported):
    """What ``import_lerobot`` is given for one episode, which becomes a raw file."""

    dataset: str
    every: Count = 1
    """Frames 0, ``every``, 2 · ``every`` and so on are imported."""
    camera: str
    """Feature that holds its images."""
    columns: Columns


class VideoEpisode(Imported):
    """An episode in a video file."""

    start: NotNegative
    """Its ``from_timestamp`` in the file, in seconds."""


class VideoSettings(Settings):
    """What ``import_videos`` is given for some episodes of one video file."""

    dataset: str
    file: str
    """The video, below the dataset's folder."""
    fps: Positive
    """Frames a second."""
    every: Count
    columns: Columns
    images: Images
    """With the colour order settled."""
    episodes: tuple[VideoEpisode, ...]
    """One behind the other."""

"""Settings of driving in simulated worlds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Count, Settings
from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import World


class DatasetWorld(Settings):
    """The world of a simulated dataset, and how its pictures become frames."""

    dataset: str
    images: Images
    world: World


class ValidationDrives(Settings):
    """The scenes in which each epoch's policy drives, with ``select_by: rollout``.

    How it drives is said once, in ``rollout``: the checkpoint is chosen by what is then reported.
    """

    worlds: tuple[DatasetWorld, ...]
    """Of a mixture those of all its datasets."""
    scenes: Count
    """Scenes of each world, each passed on both sides."""
    execute: Count
    """Steps of a chunk that are carried out before the next prediction."""
    time_limit: Annotated[float, Field(ge=1, le=10)]
    """Frames until a timeout, as a multiple of those of the dataset's episodes."""
    batch_size: Count
    """Robots side by side."""

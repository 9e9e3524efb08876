"""Settings of the closed loop: rollouts in the simulator."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Count, Settings
from mobile_vla.config.driving import DatasetWorld
from mobile_vla.config.model import TrainedRunSettings
from mobile_vla.config.uncertainty import Uncertainty


class Rollout(Settings):
    """How a policy is evaluated in closed loop in unseen scenes; simulated datasets only."""

    scenes: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Scenes, each passed on both sides. 40 show a large difference; 200 are for a benchmark."""
    execute: Count = 1
    """Steps of a chunk that are carried out before the next prediction; 1: a receding horizon."""
    time_limit: Annotated[float, Field(ge=1, le=10)] = 1.5
    """Frames until a timeout, as a multiple of those of the dataset's episodes."""
    batch_size: Count = 16
    """Robots that are rolled out side by side; results depend on it in their last bits."""
    film_strips: Annotated[int, Field(ge=0, le=1000)] = 4
    """Rollouts that are kept as film strips: half of them failures, if there are any."""


class RolloutSettings(TrainedRunSettings):
    """What the ``rollout`` stage is given: one run of one experiment, and its dataset's world."""

    worlds: tuple[DatasetWorld, ...]
    """Of a mixture those of all its simulated datasets."""
    rollout: Rollout
    uncertainty: Uncertainty

"""Settings of the latency measurement."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Count, Settings
from mobile_vla.config.model import TrainedRunSettings


class Latency(Settings):
    """How a control step is timed."""

    warmup_steps: Count = 10
    """Control steps before the measurement."""
    steps: Annotated[int, Field(ge=20, le=1_000_000)] = 100
    """Control steps that are measured; below 100 the 99th percentile is nearly the slowest."""
    batch_size: Count = 64
    """Validation windows predicted at a time, for the error that a number format costs."""


class LatencySettings(TrainedRunSettings):
    """What the ``latency`` stage is given: an experiment's first run."""

    latency: Latency

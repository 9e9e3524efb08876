"""Settings of the timing stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Count, Settings
from mobile_vla.config.training import TrainSettings


class Timing(Settings):
    """How an epoch is timed without running all of it."""

    warmup_steps: Count = 3
    """Optimiser steps before the measurement."""
    steps: Annotated[int, Field(ge=3, le=1_000_000)] = 10
    """Optimiser steps that are measured; the median counts."""
    ablation: bool = False
    """Compare with training in which each sample runs all frames of its window through the whole
    model, and with each change that makes it faster, one after another."""


class TimeSettings(Settings):
    """What the ``timing`` stage is given: an experiment's first run, and how to time it."""

    run: TrainSettings
    timing: Timing

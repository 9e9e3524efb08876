"""Settings of intervals and verdicts, the same for all experiments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Seed, Settings, Share


class Uncertainty(Settings):
    """How sure a claim must be."""

    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Confidence of the intervals, and of the verdicts that follow from them."""
    draws: Annotated[int, Field(ge=1000, le=100_000)] = 10_000
    """Bootstrap samples of the scored episodes."""
    seed: Seed = 0
    """Seed of the bootstrap."""
    power: Share = 0.8
    """Chance to notice the measured difference with the episodes that are said to be needed."""

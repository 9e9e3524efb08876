"""Settings of blind trials: which policies drive the robot, where, and how often."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Place, Settings, Share

MOST_POLICIES = 10
MOST_BLOCKS = 10_000


class TrialDesign(Settings):
    """A blind trial: policies that drive the same scenes of a robot, in random order."""

    policies: Annotated[tuple[str, ...], Field(min_length=2, max_length=MOST_POLICIES)]
    """Runs of experiments, such as ``lora/seed0``. Each pair needs evidence of its own: two or
    three policies are decided soonest."""
    scenes: Place
    """A CSV file with a line for each scene: ``scene``, its name, and ``instruction``. Further
    columns, such as how to set it up, are printed on the sheet."""
    blocks: Annotated[int, Field(ge=1, le=MOST_BLOCKS)]
    """How many blocks are planned; in each every policy drives a scene once."""


class TrialSettings(Settings):
    """What ``trials`` is given: its blocks are those of the schedule."""

    trial: str
    policies: tuple[str, ...]
    """EXPERIMENT/RUN of each."""
    confidence: Share
    """Of the rates' intervals, and of decisions over all pairs together."""

"""The scenes of simulated worlds, and the prompts of the robots in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mobile_vla.config.driving import DatasetWorld
from mobile_vla.config.ingest import Images
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.simulator import SimulateSettings, World
from mobile_vla.data.prompts import PromptTable
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.simulator.driver import instruction

Draw = Callable[[World, int, int], dict[str, SimulateSettings]]
"""Returns the episodes of so many scenes of a world, after so many that are skipped, by name."""


@dataclass(frozen=True)
class DrivenWorld:
    """The scenes of a dataset's world, and how robots drive in them."""

    dataset: str
    episodes: list[SimulateSettings]
    images: Images
    limit: int  # frames until a timeout


def driven_worlds(
    worlds: Sequence[DatasetWorld], draw: Draw, scenes: int, time_limit: float
) -> list[DrivenWorld]:
    """Return each world with scenes of its own numbers, so that no two episodes share a name.

    Args:
        worlds: of a mixture those of its datasets.
        draw: which scenes of a world.
        scenes: how many in each.
        time_limit: frames until a timeout, as a multiple of those of the dataset's episodes.
    """
    return [
        DrivenWorld(
            world.dataset,
            list(draw(world.world, scenes, place * scenes).values()),
            world.images,
            math.ceil(world.world.frames * time_limit),
        )
        for place, world in enumerate(worlds)
    ]


def prompts_of(policy: PolicySettings, worlds: Sequence[DrivenWorld]) -> PromptTable:
    """Return the prompts of all episodes, as a policy of these settings is asked."""
    episodes = [episode for world in worlds for episode in world.episodes]
    values = [
        {**parse_scenario(episode.episode), "instruction": instruction(episode)}
        for episode in episodes
    ]
    names = [episode.episode for episode in episodes]
    prompts = [policy.prompt_of(world.dataset) for world in worlds for _ in world.episodes]
    return PromptTable.of_each(prompts, values, names)

"""Settings of the simulator, and the list of episodes that they imply."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from mobile_vla.config.base import Seed, Settings

Side = Literal["left", "right"]
Style = Literal["core", "variant"]
Distance = Literal["close", "medium", "far"]
Layout = Literal["hori", "vert"]

SIDES: tuple[Side, ...] = ("left", "right")
DISTANCES: tuple[Distance, ...] = ("close", "medium", "far")
STYLES: tuple[Style, ...] = ("core", "variant")
LAYOUTS: tuple[Layout, ...] = ("hori", "vert")

FIRST_COLLECTION = datetime(2025, 11, 1, 6, 30)
COLLECTION_INTERVAL = timedelta(minutes=97)  # spreads the scenes over all hours of the day


class World(Settings):
    """How the simulated scenes vary and how the scripted driver errs."""

    seed: Seed = 0
    """Seed of every scene's geometry and colours, and of the driver's slips."""
    frames: Annotated[int, Field(ge=2, le=1000)] = 20
    """Frames in every episode; after its arrival the robot stands still."""
    variation: Annotated[float, Field(ge=0, le=2)] = 1.6
    """How far box and target wander between scenes; near 0 a replay of actions suffices."""
    slip: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of steps on which the wheels slip, so that the driver has to correct its way."""


# Scenes have numbers: those of datasets, then those of validation, then those of rollouts, so that
# no scene has two uses. There is room for the validation of 900 worlds.
MAX_SCENES = 100_000  # of a dataset
MAX_VALIDATION_SCENES = 1_000  # of a world
VALIDATION = MAX_SCENES  # number of the first scene that is kept for validation
UNSEEN = 10 * MAX_SCENES  # number of the first scene that is kept for rollouts


class Simulation(Settings):
    """A simulated dataset: how many scenes, and the world they are drawn from."""

    scenes: Annotated[int, Field(ge=1, le=MAX_SCENES)] = 54
    """Number of scenes; each is driven twice, past the box on the left and on the right."""
    world: World = World()
    """The world that the scenes are drawn from."""


class SimulateSettings(Settings):
    """One simulated episode: what the ``simulate`` stage is given."""

    episode: str
    scene: Annotated[int, Field(ge=0)]
    side: Side
    style: Style
    distance: Distance
    layout: Layout
    collected: datetime
    world: World


def simulated_episodes(simulation: Simulation) -> dict[str, SimulateSettings]:
    """Return every episode of a simulated dataset by its name, in the order of the scenes.

    Scene ``i`` is the same whatever the number of scenes, so that a growing dataset keeps the
    episodes it has. Sides and distances are balanced, and so are style and layout over longer
    runs. Both sides of a scene share their time of collection.
    """
    return _episodes(range(simulation.scenes), simulation.world)


def unseen_episodes(world: World, scenes: int, skipped: int = 0) -> dict[str, SimulateSettings]:
    """Return episodes of scenes that no dataset of the same world can hold, by name.

    They are the same for all policies, so that these can be compared scene by scene.

    Args:
        world: that they are drawn from.
        scenes: how many.
        skipped: how many come before the first: where several worlds' scenes stand side by side,
            each has numbers of its own.
    """
    first = UNSEEN + skipped
    return _episodes(range(first, first + scenes), world)


def validation_episodes(world: World, scenes: int, skipped: int = 0) -> dict[str, SimulateSettings]:
    """Return episodes of scenes that choose a checkpoint: in no dataset, and in no rollout.

    The arguments are those of :func:`unseen_episodes`.

    Raises:
        ValueError: so many scenes would be some of the rollouts'.
    """
    first = VALIDATION + skipped
    if first + scenes > UNSEEN:
        raise ValueError(f"scene {first + scenes - 1} is one of the rollouts'")
    return _episodes(range(first, first + scenes), world)


def _episodes(scenes: Iterable[int], world: World) -> dict[str, SimulateSettings]:
    episodes = {}
    for scene, side in itertools.product(scenes, SIDES):
        distance, style = DISTANCES[scene % 3], STYLES[scene // 3 % 2]
        layout = LAYOUTS[scene // 6 % 2]
        collected = FIRST_COLLECTION + scene * COLLECTION_INTERVAL
        name = f"episode_{collected:%Y%m%d_%H%M%S}_1box_{layout}_{side}_{style}_{distance}"
        episodes[name] = SimulateSettings(
            episode=name,
            scene=scene,
            side=side,
            style=style,
            distance=distance,
            layout=layout,
            collected=collected,
            world=world,
        )
    return episodes

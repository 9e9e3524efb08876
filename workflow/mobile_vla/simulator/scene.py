"""Draw a random scene: places and colours of box, target, wall and floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobile_vla.config.simulator import Distance, Layout, World
from mobile_vla.files import digest_of

Colour = tuple[int, int, int]

BOX_X: dict[Distance, float] = {"close": 1.35, "medium": 1.85, "far": 2.35}
"""Metres from the start to the box; far enough apart that the classes hardly overlap."""

BOX_SIZE: dict[Layout, tuple[float, float, float]] = {
    "hori": (0.35, 0.55, 0.4),
    "vert": (0.55, 0.35, 0.4),
}
"""Depth along x, width along y, and height, in metres."""

# The same for every distance, so that the robot takes about as long whatever stands between.
TARGET_X = 3.95
WALL_X = 7.0

# Half the range of random places at variation 1, in metres.
BOX_WANDER = (0.15, 0.2)
TARGET_WANDER = (0.15, 0.15)


@dataclass(frozen=True)
class Cuboid:
    """An upright block on the floor; x points forward and y to the left, in metres."""

    x: float
    y: float
    depth: float
    width: float
    height: float
    colour: Colour
    base: float = 0.0
    """Height of its underside."""


@dataclass(frozen=True)
class Scene:
    """Everything that stands in the world; the robot starts at (0, 0) and looks along x."""

    box: Cuboid
    target: Cuboid
    """The bottle that is to be reached."""
    cap: Cuboid
    """The bottle's neck, which is only seen."""
    wall: Colour
    floor: Colour
    detour: Detour


@dataclass(frozen=True)
class Detour:
    """How the scripted driver's ``variant`` style deviates in this scene."""

    lead: float
    """Metres by which it swerves earlier (or, negative, later)."""
    clearance: float
    """Metres by which it keeps farther from the box."""


def derived_rng(*parts: str | int) -> np.random.Generator:
    """Return a random generator that depends on ``parts`` alone."""
    return np.random.default_rng(int(digest_of(list(parts)), 16))


def make_scene(world: World, number: int, distance: Distance, layout: Layout) -> Scene:
    """Draw a scene.

    Args:
        world: seed, and how far the places of box and target vary.
        number: the scene's number; with the world's seed it determines all that is random.
        distance: how far the box stands from the start.
        layout: whether the box lies across the way or along it.
    """
    rng = derived_rng("scene", world.seed, number)
    places = (rng.uniform(-1, 1, size=(2, 2)) * world.variation).tolist()
    box_x = BOX_X[distance] + BOX_WANDER[0] * places[0][0]
    box_y = BOX_WANDER[1] * places[0][1]
    target_x = TARGET_X + TARGET_WANDER[0] * places[1][0]
    target_y = box_y + TARGET_WANDER[1] * places[1][1]
    depth, width, height = BOX_SIZE[layout]
    green = _near(rng, (35, 160, 65), 25)
    return Scene(
        box=Cuboid(box_x, box_y, depth, width, height, _near(rng, (150, 95, 45), 25)),
        target=Cuboid(target_x, target_y, 0.12, 0.12, 0.22, green),
        cap=Cuboid(target_x, target_y, 0.05, 0.05, 0.08, _near(rng, (230, 230, 235), 15), 0.22),
        wall=_between(rng, 150, 220),
        floor=_between(rng, 80, 140),
        detour=Detour(
            lead=float(rng.choice([-0.25, 0.35, 0.6])), clearance=float(rng.uniform(0.0, 0.2))
        ),
    )


def _between(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = map(int, rng.integers(low, high, size=3))
    return red, green, blue


def _near(rng: np.random.Generator, colour: Colour, spread: int) -> Colour:
    shift = rng.integers(-spread, spread + 1, size=3)
    red, green, blue = (
        min(255, max(0, int(value + delta))) for value, delta in zip(colour, shift, strict=True)
    )
    return red, green, blue

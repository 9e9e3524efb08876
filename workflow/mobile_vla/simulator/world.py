"""Draw a random scene, and simulate the robot's motion in it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mobile_vla.config.simulator import Distance, Layout, Side, World
from mobile_vla.files import digest_of

SPEED = 1.15  # the keyboard's command, in raw units
STEP = 0.24  # metres that it moves the robot from one frame to the next
RADIUS = 0.15  # metres, of the round robot
ARRIVAL = 0.5  # metres from the target at which it counts as reached
SUBSTEPS = 4  # places on the way at which contact is tested: 6 cm apart

# As measured on the prototype: enough that the driver has to correct its way.
ROUGHNESS = 0.1  # relative standard deviation of every step's length
SLIP = np.array([0.5, 1.0])  # largest slip along x and y, in steps

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
    lead: float
    """Metres by which the driver's style ``variant`` swerves earlier or, negative, later."""
    clearance: float
    """Metres by which that style keeps farther from the box."""


def derived_rng(*parts: str | int) -> np.random.Generator:
    """Return a random generator that depends on ``parts`` alone."""
    return np.random.default_rng(int(digest_of(list(parts)), 16))


def make_scene(world: World, number: int, distance: Distance, layout: Layout) -> Scene:
    """Draw a scene; its number and the world's seed determine all that is random."""
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
        lead=float(rng.choice([-0.25, 0.35, 0.6])),
        clearance=float(rng.uniform(0.0, 0.2)),
    )


def _between(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = map(int, rng.integers(low, high, size=3))
    return red, green, blue


def _near(rng: np.random.Generator, colour: Colour, spread: int) -> Colour:
    shift = rng.integers(-spread, spread + 1, size=3)
    red, green, blue = map(int, np.clip(shift + colour, 0, 255))
    return red, green, blue


class Pose(NamedTuple):
    """Where the robot stands, in metres; it always faces along x."""

    x: float
    y: float


START = Pose(0.0, 0.0)


def touches_box(scene: Scene, pose: Pose) -> bool:
    """Whether the robot, a disc of radius ``RADIUS``, overlaps the box."""
    box = scene.box
    dx = max(abs(pose.x - box.x) - box.depth / 2, 0.0)
    dy = max(abs(pose.y - box.y) - box.width / 2, 0.0)
    return float(np.hypot(dx, dy)) < RADIUS


def reached(scene: Scene, pose: Pose) -> bool:
    """Whether the robot is within ``ARRIVAL`` of the target's centre."""
    return distance(scene, pose) < ARRIVAL


def distance(scene: Scene, pose: Pose) -> float:
    """Return the metres from the robot to the target's centre."""
    return float(np.hypot(scene.target.x - pose.x, scene.target.y - pose.y))


def passed_side(scene: Scene, trail: Sequence[Pose]) -> Side | None:
    """Return the side on which a trail passes the box's centre; None where it does not."""
    for before, after in itertools.pairwise(trail):
        if before.x < scene.box.x <= after.x:
            part = (scene.box.x - before.x) / (after.x - before.x)
            y = before.y + part * (after.y - before.y)
            return "left" if y > scene.box.y else "right"
    return None


@dataclass
class Robot:
    """A robot on its way through a scene."""

    scene: Scene
    rng: np.random.Generator
    """Source of roughness and slips."""
    slip: float
    """Share of steps on which the wheels slip; with 0 every step is exact."""
    pose: Pose = START
    trail: list[Pose] = field(default_factory=lambda: [START])
    """All poses so far, the present one last."""
    touched: bool = False
    """Whether it ever touched the box."""

    def step(self, command: Sequence[float] | np.ndarray) -> Pose:
        """Carry out a command and return the new pose; the box stops the robot where they meet.

        Of the command, in raw units, linear_x and linear_y count, up to ``SPEED`` each way.
        """
        wanted = np.clip(np.asarray(command, dtype=np.float64)[:2] / SPEED, -1, 1)
        # A fixed number of draws a step, so that one slip does not change all that come after.
        rough, slips, slide = self.rng.normal(size=2), self.rng.random(), self.rng.uniform(-1, 1, 2)
        moved = wanted
        if self.slip > 0 and wanted.any():
            moved = wanted * (1 + ROUGHNESS * rough)
            if slips < self.slip:
                moved = moved + SLIP * slide
        way, start = moved * STEP, self.pose
        for part in np.arange(1, SUBSTEPS + 1) / SUBSTEPS:
            place = Pose(start.x + float(part * way[0]), start.y + float(part * way[1]))
            if touches_box(self.scene, place):
                self.touched = True
                break
            self.pose = place
        self.trail.append(self.pose)
        return self.pose

    @property
    def reached(self) -> bool:
        """Whether the target is reached now."""
        return reached(self.scene, self.pose)

    def succeeded(self, side: Side) -> bool:
        """Whether it reached the target past the box on ``side`` and never touched the box."""
        return self.reached and not self.touched and passed_side(self.scene, self.trail) == side

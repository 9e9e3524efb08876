"""Simulate the robot's motion: velocity commands, slipping wheels, contact with the box."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mobile_vla.config.simulator import Side
from mobile_vla.simulator.scene import Scene

SPEED = 1.15  # the keyboard's command, in raw units
STEP = 0.24  # metres that it moves the robot from one frame to the next
RADIUS = 0.15  # metres, of the round robot
ARRIVAL = 0.5  # metres from the target at which it counts as reached
SUBSTEPS = 4  # places on the way at which contact is tested: 6 cm apart

# As measured on the prototype: enough that the driver has to correct its way.
ROUGHNESS = 0.1  # relative standard deviation of every step's length
SLIP = np.array([0.5, 1.0])  # largest slip along x and y, in steps


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
    """A robot on its way through a scene.

    Args:
        scene: what it drives in.
        rng: source of roughness and slips.
        slip: share of steps on which the wheels slip; with 0 every step is exact.
    """

    scene: Scene
    rng: np.random.Generator
    slip: float
    pose: Pose = START
    trail: list[Pose] = field(default_factory=lambda: [START])
    """All poses so far, the present one last."""
    touched: bool = False
    """Whether it ever touched the box."""

    def step(self, command: Sequence[float] | np.ndarray) -> Pose:
        """Carry out one command.

        Args:
            command: linear_x and linear_y (further entries are ignored) in raw units; the motors
                give at most ``SPEED`` each way.

        Returns:
            The new pose. The box stops the robot where they meet.
        """
        wanted = np.clip(np.asarray(command, dtype=np.float64)[:2] / SPEED, -1, 1)
        # A fixed number of draws a step, so that one slip does not change all that come after.
        rough, slips, slide = self.rng.normal(size=2), self.rng.random(), self.rng.uniform(-1, 1, 2)
        moved = wanted
        if self.slip > 0 and wanted.any():
            moved = wanted * (1 + ROUGHNESS * rough)
            if slips < self.slip:
                moved = moved + SLIP * slide
        self.pose = self._advance(moved * STEP)
        self.trail.append(self.pose)
        return self.pose

    def _advance(self, way: np.ndarray) -> Pose:
        free = self.pose
        for part in np.arange(1, SUBSTEPS + 1) / SUBSTEPS:
            place = Pose(self.pose.x + float(part * way[0]), self.pose.y + float(part * way[1]))
            if touches_box(self.scene, place):
                self.touched = True
                break
            free = place
        return free

    @property
    def reached(self) -> bool:
        """Whether the target is reached now."""
        return reached(self.scene, self.pose)

    def succeeded(self, side: Side) -> bool:
        """Whether it reached the target past the box on ``side`` and never touched the box."""
        return self.reached and not self.touched and passed_side(self.scene, self.trail) == side

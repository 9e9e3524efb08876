"""One scripted drive, without pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.simulator.driver import Driver
from mobile_vla.simulator.scene import Scene, derived_rng, make_scene
from mobile_vla.simulator.world import Pose, Robot

INSTRUCTION = "Navigate around obstacles and reach the front of the beverage bottle on the {side}"


@dataclass(frozen=True)
class Drive:
    """What happened in one simulated episode of T frames."""

    scene: Scene
    poses: list[Pose]
    """(T,) where the robot stood at each frame."""
    actions: np.ndarray
    """(T, 3) float32, the keys pressed at each frame, raw units."""
    arrival: int | None
    """The first frame at which the target is reached; None if it never is."""
    succeeded: bool


def drive(settings: SimulateSettings) -> Drive:
    """Let the scripted driver drive through an episode, without rendering it."""
    world = settings.world
    robot = robot_of(settings)
    scene = robot.scene
    driver = Driver(scene, settings.side, settings.style)
    poses, actions, arrival = [], [], None
    for frame in range(world.frames):
        poses.append(robot.pose)
        if robot.reached and arrival is None:
            arrival = frame
        actions.append(driver.command(frame, robot.pose))
        if frame + 1 < world.frames:
            robot.step(actions[-1])
    return Drive(scene, poses, np.stack(actions), arrival, robot.succeeded(settings.side))


def robot_of(settings: SimulateSettings) -> Robot:
    """Return the robot at the start of an episode, in its scene and with its slips to come."""
    world = settings.world
    scene = make_scene(world, settings.scene, settings.distance, settings.layout)
    rng = derived_rng("slips", world.seed, settings.scene, settings.side)
    return Robot(scene, rng, world.slip)


def instruction(settings: SimulateSettings) -> str:
    """Return the text that an episode's file carries."""
    return INSTRUCTION.format(side=settings.side)

"""Drive through a simulated episode by a scripted driver, whose commands are 0 or ±1.15."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobile_vla.config.simulator import Side, SimulateSettings, Style
from mobile_vla.simulator.world import (
    RADIUS,
    SPEED,
    STEP,
    Pose,
    Robot,
    Scene,
    derived_rng,
    distance,
    make_scene,
    reached,
)

INSTRUCTION = "Navigate around obstacles and reach the front of the beverage bottle on the {side}"

LEAD = 0.75  # metres before contact at which the driver begins to swerve
CLEARANCE = 0.12  # metres to spare between robot and box
BEHIND = 0.05  # metres behind the box from which it is safe to turn in
STRAIGHT = 0.6 * STEP  # metres beside the target's line that need no correction
STOP = 0.3  # metres from the target; well within ``ARRIVAL``, as one would park
ABREAST = 0.5 * STEP  # metres before the target's height at which to go sideways only


@dataclass
class Driver:
    """A driver that passes the box on the given side and stops at the target.

    Its commands depend on where it stands, so that it corrects slips. ``core`` is the prescribed
    way; ``variant`` swerves earlier or later and keeps farther off, as the scene says.
    """

    scene: Scene
    side: Side
    style: Style
    arrived: bool = False

    def command(self, frame: int, pose: Pose) -> np.ndarray:
        """Return the keys pressed at a frame, (3,) float32 in raw units, each 0 or ±1.15.

        At frame 0, where the episode starts, none are.
        """
        self.arrived = self.arrived or distance(self.scene, pose) < STOP
        keys = (0, 0) if frame == 0 or self.arrived else self._keys(pose)
        return np.array([keys[0] * SPEED, keys[1] * SPEED, 0.0], dtype=np.float32)

    def _keys(self, pose: Pose) -> tuple[int, int]:
        box, target = self.scene.box, self.scene.target
        out = 1 if self.side == "left" else -1
        lead, clearance = LEAD, CLEARANCE
        if self.style == "variant":
            lead += self.scene.lead
            clearance += self.scene.clearance
        if pose.x < box.x + box.depth / 2 + RADIUS + BEHIND:
            room = box.x - box.depth / 2 - RADIUS - pose.x  # metres to contact, straight ahead
            beside = out * (pose.y - box.y) >= box.width / 2 + RADIUS + clearance
            if beside or room > lead:
                return 1, 0
            return (1 if room > 1.5 * STEP else 0), out
        ahead, aside = target.x - pose.x, target.y - pose.y
        forward = int(np.sign(ahead)) if abs(ahead) > ABREAST else 0
        if abs(aside) > STRAIGHT:
            return forward, int(np.sign(aside))
        return forward or 1, 0


@dataclass(frozen=True)
class ScriptedDrive:
    """What happened in one simulated episode of T frames."""

    scene: Scene
    poses: list[Pose]
    """(T,) where the robot stood at each frame."""
    actions: np.ndarray
    """(T, 3) float32, the keys pressed at each frame, raw units."""
    arrival: int | None
    """The first frame at which the target is reached; None if it never is."""
    succeeded: bool


def drive(settings: SimulateSettings) -> ScriptedDrive:
    """Run the scripted driver through an episode, without rendering it."""
    robot = robot_of(settings)
    driver = Driver(robot.scene, settings.side, settings.style)
    actions = [driver.command(0, robot.pose)]
    for frame in range(1, settings.world.frames):
        robot.step(actions[-1])
        actions.append(driver.command(frame, robot.pose))
    scene, poses = robot.scene, robot.trail
    arrival = next((frame for frame, pose in enumerate(poses) if reached(scene, pose)), None)
    return ScriptedDrive(scene, poses, np.stack(actions), arrival, robot.succeeded(settings.side))


def robot_of(settings: SimulateSettings) -> Robot:
    """Return the robot at the start of an episode, in its scene and with its slips to come."""
    world = settings.world
    scene = make_scene(world, settings.scene, settings.distance, settings.layout)
    rng = derived_rng("slips", world.seed, settings.scene, settings.side)
    return Robot(scene, rng, world.slip)


def instruction(settings: SimulateSettings) -> str:
    """Return the text that an episode's file carries."""
    return INSTRUCTION.format(side=settings.side)

"""The scripted driver: keys as a person would press them, 0 or ±1.15."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobile_vla.config.simulator import Side, Style
from mobile_vla.simulator.scene import Scene
from mobile_vla.simulator.world import RADIUS, SPEED, STEP, Pose, distance

LEAD = 0.75  # metres before contact at which the driver begins to swerve
CLEARANCE = 0.12  # metres to spare between robot and box
BEHIND = 0.05  # metres behind the box from which it is safe to turn in
STRAIGHT = 0.6 * STEP  # metres beside the target's line that need no correction
STOP = 0.3  # metres from the target; well within ``ARRIVAL``, as one would park
ABREAST = 0.5 * STEP  # metres before the target's height at which to go sideways only


@dataclass
class Driver:
    """A driver who passes the box on the told side and stops at the target.

    Its commands depend on what it sees, so that it corrects slips. ``core`` is the prescribed
    way; ``variant`` swerves earlier or later and keeps farther off, as the scene's detour says.
    """

    scene: Scene
    side: Side
    style: Style
    arrived: bool = False

    def command(self, frame: int, pose: Pose) -> np.ndarray:
        """Return the keys pressed at a frame.

        Args:
            frame: index of the frame; nothing is pressed at frame 0, where the episode starts.
            pose: where the robot stands.

        Returns:
            (3,) float32: linear_x, linear_y, angular_z in raw units, each 0 or ±1.15.
        """
        self.arrived = self.arrived or distance(self.scene, pose) < STOP
        keys = (0, 0) if frame == 0 or self.arrived else self._keys(pose)
        return np.array([keys[0] * SPEED, keys[1] * SPEED, 0.0], dtype=np.float32)

    def _keys(self, pose: Pose) -> tuple[int, int]:
        box, target = self.scene.box, self.scene.target
        out = 1 if self.side == "left" else -1
        lead, clearance = LEAD, CLEARANCE
        if self.style == "variant":
            lead += self.scene.detour.lead
            clearance += self.scene.detour.clearance
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

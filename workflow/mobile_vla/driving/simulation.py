"""Batched simulator rollouts: many robots step by step, each in its scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.driving.outcome import Outcome
from mobile_vla.ingest.resize import to_frame
from mobile_vla.simulator.camera import render
from mobile_vla.simulator.driver import robot_of
from mobile_vla.simulator.world import Pose, Robot, Scene, passed_side


class BatchDriver(Protocol):
    """A driver of B robots side by side."""

    sees: bool  # whether it looks at frames; else none are rendered

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the robots' commands from this frame to the next, (B, 3) in raw command units.

        Called for each frame in turn; frames are (B, 224, 224, 3) uint8, if it looks at them.
        """

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots, in the order given; the others have finished."""


@dataclass(frozen=True, eq=False)
class FinishedRollout:
    """Trajectory and outcome of a robot over T frames."""

    outcome: Outcome
    scene: Scene
    poses: np.ndarray  # (T, 2) position at each frame, in metres
    commands: np.ndarray  # (T - 1, 3) float32 at each frame but the last, in raw command units

    @property
    def length(self) -> float:
        """Length of the path in metres."""
        return float(np.linalg.norm(np.diff(self.poses, axis=0), axis=1).sum())


def roll_out(
    episodes: Sequence[SimulateSettings],
    driver_of: Callable[[Sequence[SimulateSettings]], BatchDriver],
    *,
    images: Images,
    limit: int,
    batch_size: int,
) -> list[FinishedRollout]:
    """Roll out a driver in scenes, in each until its outcome is decided.

    The order of events is the recorder's: a frame is seen, a command is given, the robot moves to
    the next frame. Slips are those of the episode's seed, the same for every driver.

    Args:
        driver_of: makes the driver for a batch of episodes.
        limit: frames until a timeout.
        batch_size: robots side by side.
    """
    rollouts: list[FinishedRollout] = []
    for start in range(0, len(episodes), batch_size):
        batch = episodes[start : start + batch_size]
        rollouts += _roll_out_batch(batch, driver_of(batch), images, limit)
    return rollouts


def _roll_out_batch(
    episodes: Sequence[SimulateSettings], driver: BatchDriver, images: Images, limit: int
) -> list[FinishedRollout]:
    robots = [robot_of(episode) for episode in episodes]
    given: list[list[np.ndarray]] = [[] for _ in robots]
    active = list(range(len(robots)))
    for step in range(limit - 1):
        going = [n for n, i in enumerate(active) if not ended(robots[i])]
        if not going:
            break
        if len(going) < len(active):
            driver.keep(going)
            active = [active[n] for n in going]
        poses = [robots[i].pose for i in active]
        frames = None
        if driver.sees:
            frames = np.stack([frame_of(robots[i].scene, robots[i].pose, images) for i in active])
        commands = driver.commands(step, poses, frames)  # (B, 3)
        for i, command in zip(active, commands, strict=True):
            given[i].append(np.asarray(command, dtype=np.float32))
            robots[i].step(command)
    return [
        FinishedRollout(
            outcome=outcome_of(robot, episode),
            scene=robot.scene,
            poses=np.array(robot.trail),
            commands=np.array(commands, dtype=np.float32).reshape(-1, 3),
        )
        for robot, episode, commands in zip(robots, episodes, given, strict=True)
    ]


def ended(robot: Robot) -> bool:
    """Whether a rollout is decided: the box is touched, or the target reached."""
    return robot.touched or robot.reached


def outcome_of(robot: Robot, episode: SimulateSettings) -> Outcome:
    """Return ``success`` or the first failure that applies; see :class:`RolloutResult`."""
    if robot.touched:
        return "collision"
    side = passed_side(robot.scene, robot.trail)
    if side is not None and side != episode.side:
        return "wrong_side"
    return "success" if robot.succeeded(episode.side) else "timeout"


def frame_of(scene: Scene, pose: Pose, images: Images) -> np.ndarray:
    """Return the frame (224, 224, 3) that ``ingest`` makes of the camera's image.

    Raw files keep images without loss, so leaving them out changes nothing.
    """
    return to_frame(render(scene, pose), images)

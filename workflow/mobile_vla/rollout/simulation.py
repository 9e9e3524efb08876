"""Letting somebody drive: many robots, each through a scene of its own, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.ingest.resize import to_frame
from mobile_vla.simulator.camera import render
from mobile_vla.simulator.driver import robot_of
from mobile_vla.simulator.scene import Scene
from mobile_vla.simulator.world import Pose, Robot, passed_side

Outcome = Literal["success", "collision", "wrong_side", "timeout"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Pilot(Protocol):
    """Who steers B robots side by side."""

    sees: bool
    """Whether it looks at frames; else none are rendered."""

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return what each robot is to do from this frame to the next.

        Args:
            step: index of the frame, from 0; called for each in turn.
            poses: where the B robots stand.
            frames: (B, 224, 224, 3) uint8 what they see, if it looks at frames.

        Returns:
            (B, 3) linear_x, linear_y and angular_z in raw command units.
        """

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots, in the order given; the others have finished."""


@dataclass(frozen=True, eq=False)
class Rollout:
    """What became of one robot in T frames."""

    outcome: Outcome
    scene: Scene
    poses: np.ndarray
    """(T, 2) where it stood at each frame, in metres."""
    commands: np.ndarray
    """(T - 1, 3) float32 what was commanded at each frame but the last, in raw command units."""

    @property
    def length(self) -> float:
        """Metres that it went."""
        return float(np.linalg.norm(np.diff(self.poses, axis=0), axis=1).sum())


def roll_out(
    episodes: Sequence[SimulateSettings],
    pilot_of: Callable[[Sequence[SimulateSettings]], Pilot],
    *,
    images: Images,
    limit: int,
    batch_size: int,
) -> list[Rollout]:
    """Let a pilot drive through scenes, each until something decides it.

    The order of things is the recorder's: a frame is seen, a command is given, the robot moves to
    the next frame. Slips are those of the episode's seed, whoever drives.

    Args:
        episodes: a scene and a side each.
        pilot_of: makes the pilot for some of them, who are driven side by side.
        images: how the camera's images become frames, as in ``ingest``.
        limit: frames until a timeout.
        batch_size: robots side by side.

    Returns:
        What became of each, in the order of ``episodes``.
    """
    found: list[Rollout] = []
    for start in range(0, len(episodes), batch_size):
        batch = episodes[start : start + batch_size]
        found += _batch(batch, pilot_of(batch), images, limit)
    return found


def _batch(
    episodes: Sequence[SimulateSettings], pilot: Pilot, images: Images, limit: int
) -> list[Rollout]:
    robots = [robot_of(episode) for episode in episodes]
    given: list[list[np.ndarray]] = [[] for _ in robots]
    driving = list(range(len(robots)))
    for step in range(limit - 1):
        going = [n for n, i in enumerate(driving) if not ended(robots[i])]
        if not going:
            break
        if len(going) < len(driving):
            pilot.keep(going)
            driving = [driving[n] for n in going]
        poses = [robots[i].pose for i in driving]
        frames = None
        if pilot.sees:
            frames = np.empty((len(driving), *FRAME_SHAPE), dtype=np.uint8)
            for n, i in enumerate(driving):
                frames[n] = frame_of(robots[i].scene, poses[n], images)
        commands = pilot.commands(step, poses, frames)  # (B, 3)
        for i, command in zip(driving, commands, strict=True):
            given[i].append(np.asarray(command, dtype=np.float32))
            robots[i].step(command)
    return [
        Rollout(
            outcome=outcome(robot, episode),
            scene=robot.scene,
            poses=np.array(robot.trail),
            commands=np.array(commands, dtype=np.float32).reshape(-1, 3),
        )
        for robot, episode, commands in zip(robots, episodes, given, strict=True)
    ]


def ended(robot: Robot) -> bool:
    """Whether a rollout is decided: the box is touched, or the target reached."""
    return robot.touched or robot.reached


def outcome(robot: Robot, episode: SimulateSettings) -> Outcome:
    """Return what became of a robot: ``success``, or the first of the failures that applies.

    ``success``: it reached the target, never touched the box, and passed it on the told side.
    ``collision``: it touched the box. ``wrong_side``: it passed the box on the other side, whether
    or not it then reached the target. ``timeout``: none of these within the time.
    """
    if robot.touched:
        return "collision"
    side = passed_side(robot.scene, robot.trail)
    if side is not None and side != episode.side:
        return "wrong_side"
    return "success" if robot.succeeded(episode.side) else "timeout"


def frame_of(scene: Scene, pose: Pose, images: Images) -> np.ndarray:
    """Return the frame (224, 224, 3) that ``ingest`` makes of what the camera sees.

    Raw files keep images without loss, so leaving them out changes nothing.
    """
    return to_frame(render(scene, pose), images)

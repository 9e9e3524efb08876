"""Simulate: one scripted drive, written as the robot's collector would write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.files import atomic_path, describe, write_json
from mobile_vla.simulator.camera import HEIGHT, WIDTH, render
from mobile_vla.simulator.driver import Driver
from mobile_vla.simulator.scene import Scene, derived_rng, make_scene
from mobile_vla.simulator.world import Pose, Robot

SECONDS_PER_FRAME = 2.0  # a frame is stored for each key press
ACTION_CHUNK_SIZE = 10
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
    scene = make_scene(world, settings.scene, settings.distance, settings.layout)
    rng = derived_rng("slips", world.seed, settings.scene, settings.side)
    robot = Robot(scene, rng, world.slip)
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


def simulate(settings: SimulateSettings, *, raw: Path, digest: Path) -> None:
    """Write one simulated episode in the format of recorded ones.

    The same settings give the same bytes.

    Args:
        settings: the episode's scenario and world.
        raw: ``EPISODE.h5`` to write.
        digest: ``EPISODE.json`` to write: SHA-256 and size of ``raw``.
    """
    driven = drive(settings)
    with atomic_path(raw) as temporary, h5py.File(temporary, "w") as file:
        _write(file, settings, driven)
    write_json(digest, describe(raw))


def _write(file: h5py.File, settings: SimulateSettings, driven: Drive) -> None:
    length = len(driven.actions)
    images = file.create_dataset(
        "images",
        shape=(length, HEIGHT, WIDTH, 3),
        dtype=np.uint8,
        chunks=(1, HEIGHT, WIDTH, 3),
        compression="gzip",
        compression_opts=1,
        track_times=False,
    )
    for frame, pose in enumerate(driven.poses):
        images[frame] = render(driven.scene, pose)
    file.create_dataset(
        "actions", data=driven.actions, compression="gzip", compression_opts=1, track_times=False
    )
    file.create_dataset(
        "action_event_types",
        data=np.array(event_types(driven.actions), dtype=object),
        dtype=h5py.string_dtype("utf-8"),
        compression="gzip",
        compression_opts=1,
        track_times=False,
    )
    text = INSTRUCTION.format(side=settings.side).encode()
    file.create_dataset(
        "language_instruction", data=np.array([text], dtype="S256"), track_times=False
    )
    collected = settings.collected
    file.attrs.update(
        {
            "episode_name": settings.episode,
            "total_duration": SECONDS_PER_FRAME * length,
            "num_frames": length,
            "action_chunk_size": ACTION_CHUNK_SIZE,
            "obstacle_layout_type": settings.layout,
            "time_period": time_period(collected.hour),
            "collection_datetime": collected.isoformat(),
            "collection_hour": collected.hour,
            "collection_minute": collected.minute,
            "scene": f"scene-{settings.scene}",
        }
    )


def event_types(actions: np.ndarray) -> list[str]:
    """Return the collector's event for each frame, from (T, 3) actions."""
    pressed = ["start_action" if action.any() else "stop_action" for action in actions]
    return ["episode_start", *pressed[1:]]


def time_period(hour: int) -> str:
    """Return the collector's name for an hour of the day."""
    for end, name in ((5, "night"), (9, "dawn"), (13, "morning"), (21, "evening")):
        if hour < end:
            return name
    return "night"

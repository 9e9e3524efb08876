"""Simulate: one scripted drive, written as the robot's collector would write it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.files import atomic_path, describe, write_json
from mobile_vla.simulator.camera import HEIGHT, WIDTH, render
from mobile_vla.simulator.drive import Drive, drive, instruction

SECONDS_PER_FRAME = 2.0  # a frame is stored for each key press
ACTION_CHUNK_SIZE = 10


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
    text = np.array([instruction(settings).encode()], dtype="S256")
    file.create_dataset("language_instruction", data=text, track_times=False)
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

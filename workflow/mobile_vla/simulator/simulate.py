"""The stage ``simulate``: write a scripted drive as a raw episode."""

from __future__ import annotations

import numpy as np

from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.ingest.collector import write_episode
from mobile_vla.layout import RawFiles
from mobile_vla.result import FileDigest
from mobile_vla.simulator.camera import HEIGHT, WIDTH, render
from mobile_vla.simulator.driver import drive, instruction

SECONDS_PER_FRAME = 2.0  # a frame is stored for each key press
ACTION_CHUNK_SIZE = 10


def simulate(settings: SimulateSettings, outputs: RawFiles) -> None:
    """Write one simulated episode in the format of recorded ones.

    The same settings give the same bytes.
    """
    driven = drive(settings)
    collected, length = settings.collected, len(driven.actions)
    write_episode(
        outputs.raw,
        (render(driven.scene, pose) for pose in driven.poses),
        driven.actions,
        size=(HEIGHT, WIDTH),
        event_types=event_types(driven.actions),
        instruction=instruction(settings),
        attributes={
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
        },
    )
    FileDigest.of(outputs.raw).write(outputs.digest)


def event_types(actions: np.ndarray) -> list[str]:
    """Return the collector's event for each frame, from (T, 3) actions."""
    pressed = ["start_action" if action.any() else "stop_action" for action in actions]
    return ["episode_start", *pressed[1:]]


def time_period(hour: int) -> str:
    """Return the collector's name for an hour of the day."""
    ends = ((5, "night"), (9, "dawn"), (13, "morning"), (21, "evening"), (24, "night"))
    return next(name for end, name in ends if hour < end)

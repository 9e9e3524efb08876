"""The real `lerobot` library at work, run by the Python of an environment of its own.

    library.py create FOLDER [--video]    writes a dataset as LeKiwi's recorder does
    library.py read FOLDER                prints what the library reads, as JSON

``tests/data/lerobot/lekiwi_video`` was made likewise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import library as operators

FPS, EPISODES, FRAMES, SIZE = 30, 8, 24, (96, 128)
CAMERAS = ("front", "wrist")
ARM = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
NAMES = [f"arm_{joint}.pos" for joint in ARM] + ["x.vel", "y.vel", "theta.vel"]
TASKS = ("drive to the red cup", "drive to the blue box")


def load_library() -> Any:
    """Import the dataset class.

    torchvision's compiled operators, which a dataset does not need, are missing where torch is
    another build than torchvision was made for; then their descriptions are left out, too.
    """
    register = operators.register_fake
    if not hasattr(torch.ops.torchvision, "nms"):
        operators.register_fake = lambda *_, **__: lambda function: function
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    operators.register_fake = register
    return LeRobotDataset


def create(folder: Path, video: bool) -> None:
    """Write eight episodes: two cameras, state, and a differential base that drives a curve."""
    numbers = {"dtype": "float32", "shape": (len(NAMES),), "names": NAMES}
    picture = {
        "dtype": "video" if video else "image",
        "shape": (*SIZE, 3),
        "names": ["height", "width", "channels"],
    }
    features = {f"observation.images.{name}": picture for name in CAMERAS}
    features |= {"observation.state": numbers, "action": numbers}
    dataset = load_library().create(
        "local/lekiwi", FPS, features, root=folder, robot_type="lekiwi", use_videos=video
    )
    for episode in range(EPISODES):
        rng = np.random.default_rng(episode)
        texture = rng.integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8)
        still = np.kron(texture, np.ones((8, 8, 1), dtype=np.uint8))
        for frame in range(FRAMES):
            action = rng.normal(size=len(NAMES)).astype(np.float32)
            action[-3:] = 0.2 * (frame > 3), 0.0, 0.4 * np.sin(frame / 4)
            seen = np.roll(still, 2 * frame, axis=1)
            dataset.add_frame(
                {
                    **{f"observation.images.{name}": seen for name in CAMERAS},
                    "observation.state": action + np.float32(0.01),
                    "action": action,
                    "task": TASKS[episode % 2],
                }
            )
        dataset.save_episode()
    dataset.finalize()


def read(folder: Path) -> dict[str, Any]:
    """Return features, tasks and actions of a dataset, and a digest of each frame's pixels."""
    dataset = load_library()("local/exported", root=folder)
    cameras = list(dataset.meta.camera_keys)
    items = [dataset[index] for index in range(len(dataset))]
    pixels = {
        camera: [
            hashlib.sha256(
                (item[camera].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8).tobytes()
            ).hexdigest()
            for item in items
        ]
        for camera in cameras
    }
    others = [key for key in ("action", "observation.state") if key in items[0]]
    return {
        "fps": dataset.fps,
        "episodes": [int(item["episode_index"]) for item in items],
        "tasks": [item["task"] for item in items],
        "pixels": pixels,
        **{key: [item[key].tolist() for item in items] for key in others},
    }


def main() -> None:
    """Run one of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["create", "read"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--video", action="store_true")
    given = parser.parse_args()
    if given.what == "create":
        create(given.folder, given.video)
    else:
        print(json.dumps(read(given.folder)))


if __name__ == "__main__":
    main()

"""Write episodes in three public HDF5 layouts, from their documentation, without the library.

robomimic: https://robomimic.github.io/docs/datasets/overview.html, "Dataset Structure", which
MimicGen follows: all demonstrations in one file, images (T, H, W, 3) uint8. RoboCasa adds the
task's words as JSON, in the attribute ``ep_meta``.

Mobile ALOHA: https://github.com/Interbotix/aloha, scripts/record_episodes.py: a file an episode;
JPEG files padded with zeros to rows of one length, whose true lengths are in ``compress_len``;
``base_action`` is the base's linear and angular velocity.

RECON: https://sites.google.com/view/recon-robot; the keys and shapes are those of badgr's
JackalEnvSpec (https://github.com/gregkahn/badgr), which recorded it, and of process_recon.py in
https://github.com/robodhruv/visualnav-transformer: JPEG files as bytes, velocities (T, 1) float64.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

FRAMES = 9
SIZE = (24, 32)


ROBOMIMIC = {
    "episodes": "data/demo_*",
    "images": "obs/agentview_image",
    "actions": "actions",
    "instruction": "@ep_meta/lang",
}
"""The `fields` of what :func:`write_robomimic` writes; its three columns are the velocities."""


def drive(seed: int, frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Return linear and angular velocity (T,) float64: from rest, straight on and round a bend."""
    rng = np.random.default_rng(seed)
    linear = np.concatenate([[0.0], rng.uniform(0.5, 0.9, frames - 1)])
    angular = np.where(np.arange(frames) > frames // 2, rng.uniform(-0.6, 0.6), 0.0)
    return linear, angular


def pictures(seed: int, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return (T, H, W, 3) uint8 pictures that differ from frame to frame."""
    rng = np.random.default_rng(seed)
    images = rng.integers(40, 90, size=(frames, *size, 3), dtype=np.uint8)
    for frame, image in enumerate(images):
        image[4:12, 2 + frame : 10 + frame] = (200, 120, 60)
    return images


def jpegs(images: np.ndarray) -> list[bytes]:
    """Return each image as a JPEG file."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def add_demo(path: Path, number: int, cameras: tuple[str, ...] = ("agentview_image",)) -> None:
    """Add a demonstration to a robomimic file of a planar base, which is made if need be."""
    linear, angular = drive(number)
    with h5py.File(path, "a") as file:
        data = file.require_group("data")
        demo = data.create_group(f"demo_{number}")
        actions = np.stack([linear, np.zeros_like(linear), angular], axis=1)  # (T, 3)
        demo.create_dataset("actions", data=actions)
        demo.create_dataset("rewards", data=np.zeros(FRAMES))
        demo.create_dataset("dones", data=np.zeros(FRAMES, dtype=np.int64))
        demo.create_dataset("states", data=np.zeros((FRAMES, 5)))
        for name in ("obs", "next_obs"):
            group = demo.create_group(name)
            for place, camera in enumerate(cameras):
                images = pictures(number + 100 * place)
                shifted = images if name == "obs" else np.roll(images, -1, axis=0)
                group.create_dataset(camera, data=shifted, compression="gzip")
            group.create_dataset("robot0_base_pos", data=np.cumsum(actions, axis=0))
        demo.attrs["num_samples"] = FRAMES
        demo.attrs["model_file"] = "<mujoco/>"
        demo.attrs["ep_meta"] = json.dumps({"lang": "drive round the box", "layout_id": number})
        data.attrs["total"] = data.attrs.get("total", 0) + FRAMES
        data.attrs["env_args"] = json.dumps({"env_name": "PlanarBase", "env_type": 1})
        mask = [f"demo_{one}".encode() for one in range(number + 1)]
        if "mask" in file:
            del file["mask"]
        file["mask/train"] = np.array(mask)


def write_robomimic(path: Path, demos: int = 8, **how: Any) -> None:
    """Write a file of demonstrations as robomimic and MimicGen do."""
    for number in range(demos):
        add_demo(path, number, **how)


def write_aloha(path: Path, seed: int = 0, cameras: tuple[str, ...] = ("cam_high",)) -> None:
    """Write an episode as Mobile ALOHA's recorder does with ``COMPRESS``."""
    linear, angular = drive(seed)
    files = [jpegs(pictures(seed + 100 * place)) for place in range(len(cameras))]
    lengths = np.array([[len(content) for content in one] for one in files])  # (cameras, T)
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        file.attrs["compress"] = True
        images = file.create_group("observations/images")
        for camera, one in zip(cameras, files, strict=True):
            rows = np.zeros((FRAMES, lengths.max()), dtype=np.uint8)
            for row, content in zip(rows, one, strict=True):
                row[: len(content)] = np.frombuffer(content, dtype=np.uint8)
            images.create_dataset(camera, data=rows, chunks=(1, lengths.max()))
        for name in ("qpos", "qvel", "effort"):
            file[f"observations/{name}"] = np.ones((FRAMES, 14), dtype=np.float32)
        file["action"] = np.zeros((FRAMES, 14), dtype=np.float32)
        file["base_action"] = np.stack([linear, angular], axis=1).astype(np.float32)
        file["compress_len"] = lengths.astype(np.float32)


def write_recon(path: Path, seed: int = 0, *, is_stereo: bool = False) -> None:
    """Write an episode as the Jackal of RECON does; ``is_stereo`` adds its right camera."""
    linear, angular = drive(seed)
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for place, camera in enumerate(("rgb_left", "rgb_right")[: 1 + is_stereo]):
            rows = np.array(jpegs(pictures(seed + 100 * place)), dtype=np.bytes_)
            file[f"images/{camera}"] = rows
        file["images/thermal"] = rng.random((FRAMES, 32, 32))
        file["commands/linear_velocity"] = linear[:, None]
        file["commands/angular_velocity"] = angular[:, None]
        file["jackal/linear_velocity"] = 0.9 * linear[:, None]
        file["jackal/angular_velocity"] = 0.9 * angular[:, None]
        file["jackal/position"] = np.zeros((FRAMES, 3))
        file["jackal/yaw"] = np.zeros((FRAMES, 1))
        file["imu/angular_velocity"] = np.zeros((FRAMES, 3))
        file["gps/latlong"] = np.full((FRAMES, 2), 37.9)
        file["collision/any"] = np.zeros((FRAMES, 1), dtype=bool)
        file["lidar"] = np.ones((FRAMES, 360))

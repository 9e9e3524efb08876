"""Write a folder of episodes as a ROS collector does, without the library's help.

An independent second writer of the users' format: what the simulator writes is read by the code
that was written beside it, and the two could agree on the same mistake. Only h5py and numpy.

    python tests/support/recorded.py DIR --episodes 12
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import numpy as np

SPEED = 1.15
FRAMES = 18
SIDES = ("left", "right")
INSTRUCTION = "Navigate around obstacles and reach the front of the beverage bottle on the {side}"
PERIODS = ((5, "night"), (9, "dawn"), (12, "morning"), (18, "evening"), (24, "night"))


def names(count: int, sides: Sequence[str] = SIDES) -> list[str]:
    """Return names balanced over side, distance and style, as a collector stamps them."""
    start = datetime(2025, 11, 3, 9, 12, 41)
    result = []
    for index in range(count):
        when = start + timedelta(minutes=11 * index)
        side = sides[index % len(sides)]
        distance = ("close", "medium", "far")[index // len(sides) % 3]
        style = ("core", "variant")[index // (3 * len(sides)) % 2]
        result.append(f"episode_{when:%Y%m%d_%H%M%S}_1box_hori_{side}_{style}_{distance}")
    return result


def keys(name: str, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (T, 3) float32 key presses: one stop, W, then A or D, the diagonal, and W again."""
    side = 1.0 if "_left_" in name else -1.0
    ahead = {"close": 2, "medium": 3, "far": 4}[name.rsplit("_", 1)[1]]
    if "_variant_" in name:
        ahead += int(rng.integers(-1, 2))
    pressed = [(0.0, 0.0)] + [(1.0, 0.0)] * ahead + [(0.0, side)] * 2 + [(1.0, side)] * 4
    pressed += [(1.0, -side)] * 3 + [(1.0, 0.0)] * frames
    actions = np.zeros((frames, 3), dtype=np.float32)
    actions[:, :2] = SPEED * np.array(pressed[:frames])
    return actions


def pictures(
    name: str, actions: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return (T, H, W, 3) uint8 pictures in which a cardboard box moves as the robot does."""
    height, width = size
    wall, floor = rng.integers(60, 200, size=(2, 1)) + rng.integers(0, 20, size=(2, 3))
    box = np.array([175, 125, 65]) + rng.integers(-20, 20, size=3)
    images = np.empty((len(actions), height, width, 3), dtype=np.uint8)
    position = np.zeros(2)
    for image, action in zip(images, actions, strict=True):
        image[: height // 2] = wall
        image[height // 2 :] = floor
        distance = max(6.0 - 0.35 * position[0], 1.0)
        half = int(width * 0.4 / distance)
        centre = int(width * (0.5 - 0.15 * -position[1] / distance))
        top, bottom = height // 2 - half // 2, min(height, height // 2 + half)
        image[max(top, 0) : bottom, max(centre - half, 0) : max(centre + half, 0)] = box
        noise = rng.integers(0, 6, size=image.shape, dtype=np.uint8)
        np.minimum(image, 249, out=image)
        image += noise
        position += action[:2]
    return images


def write_episode(
    path: Path,
    *,
    seed: int = 0,
    frames: int = FRAMES,
    size: tuple[int, int] = (72, 128),
    instruction: bool = True,
) -> None:
    """Write one episode; its name says the scenario."""
    name = path.stem
    rng = np.random.default_rng(seed)
    actions = keys(name, frames, rng)
    events = ["episode_start" if not index else "start_action" for index in range(frames)]
    when = datetime.strptime("_".join(name.split("_")[1:3]), "%Y%m%d_%H%M%S")
    with h5py.File(path, "w") as file:
        images = pictures(name, actions, size, rng)
        chunks = (1, *size, 3)
        file.create_dataset("images", data=images, chunks=chunks, compression="gzip")
        file.create_dataset("actions", data=actions, compression="gzip")
        file.create_dataset(
            "action_event_types",
            data=np.array(events, dtype=object),
            dtype=h5py.string_dtype("utf-8"),
            compression="gzip",
        )
        if instruction:
            side = "left" if "_left_" in name else "right"
            text = np.array([INSTRUCTION.format(side=side).encode()], dtype="S256")
            file.create_dataset("language_instruction", data=text)
        file.attrs["episode_name"] = name
        file.attrs["total_duration"] = 2.0 * frames
        file.attrs["num_frames"] = frames
        file.attrs["action_chunk_size"] = 10
        file.attrs["obstacle_layout_type"] = "hori"
        file.attrs["time_period"] = next(text for hour, text in PERIODS if when.hour < hour)
        file.attrs["collection_datetime"] = when.isoformat()
        file.attrs["collection_hour"] = when.hour
        file.attrs["collection_minute"] = when.minute


def write_folder(
    folder: Path,
    episodes: int = 12,
    *,
    sides: Sequence[str] = SIDES,
    frames: int = FRAMES,
    size: tuple[int, int] = (72, 128),
    seed: int = 0,
    truncated: bool = False,
) -> list[Path]:
    """Write a folder of episodes; every third has no instruction.

    Args:
        folder: made if it is not there.
        episodes: number of files, a truncated one included.
        sides: on which the robot passes, in turn.
        frames: length of each.
        size: height and width of the images.
        seed: of colours, noise and deviations.
        truncated: cut the last file off in its middle, as a full disk does.

    Returns:
        The files in the order of their names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.h5" for name in names(episodes, sides)]
    for index, path in enumerate(paths):
        write_episode(path, seed=seed + index, frames=frames, size=size, instruction=index % 3 != 2)
    if truncated:
        content = paths[-1].read_bytes()
        paths[-1].write_bytes(content[: len(content) // 2])
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a folder from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--episodes", type=int, default=12)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--height", type=int, default=72)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truncated", action="store_true", help="cut the last file off")
    options = parser.parse_args(arguments)
    paths = write_folder(
        options.folder,
        options.episodes,
        frames=options.frames,
        size=(options.height, options.width),
        seed=options.seed,
        truncated=options.truncated,
    )
    print(f"{len(paths)} episodes in {options.folder}")


if __name__ == "__main__":
    main()

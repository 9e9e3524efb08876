"""Name the files of a LeRobotDataset v3, and read its ``info.json``.

The format is that of LeRobot 0.4 (huggingface/lerobot, docs/source/lerobot-dataset-v3.mdx and
src/lerobot/datasets), ``codebase_version`` v3.0: many episodes to a Parquet file, and an index of
episodes that says which rows are whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobile_vla.errors import UserError
from mobile_vla.files import read_json

VERSION = "v3.0"

INFO = "meta/info.json"
STATISTICS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
OURS = "meta/mobile_vla.json"
"""What the format has no place for, such as the episodes' names; LeRobot does not read it."""

FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = f"data/{FILE}"
EPISODES = f"meta/episodes/{FILE}"

CHUNK_FILES = 1000  # most files of a folder
DATA_MB = 100  # MiB, about the most of a data file
VIDEO_MB = 200

ACTION = "action"
CAMERAS = "observation.images."


def read_info(folder: Path, place: str) -> dict[str, Any]:
    """Read a dataset's ``info.json``.

    Args:
        folder: the dataset's folder.
        place: where config.yaml names it.

    Raises:
        UserError: the folder holds none, or one of another version of the format.
    """
    if not (folder / INFO).is_file():
        raise UserError(
            f"{place}: {folder} has no {INFO}; expected the folder of a LeRobotDataset {VERSION}"
        )
    info: dict[str, Any] = read_json(folder / INFO)
    version = str(info.get("codebase_version"))
    if version.split(".")[0] != VERSION.split(".")[0]:
        raise UserError(
            f"{folder / INFO} (codebase_version): found {version}, expected {VERSION}; LeRobot's "
            "own scripts convert older datasets (lerobot.datasets.v30)"
        )
    return info


def camera_of(info: Mapping[str, Any], wanted: str | None, place: str) -> str:
    """Return the feature that holds the camera's images.

    Args:
        info: the content of ``info.json``.
        wanted: the feature's name; None where there is no choice.
        place: where config.yaml names the dataset.

    Raises:
        UserError: there is no such feature, there are several, or it is a video.
    """
    features = info["features"]
    cameras = [name for name, feature in features.items() if feature["dtype"] in ("image", "video")]
    if wanted is None and len(cameras) == 1:
        wanted = cameras[0]
    if wanted is None or wanted not in cameras:
        said = "no camera is named" if wanted is None else f"found {wanted!r}"
        known = ", ".join(cameras) or "those of the dataset, which has none"
        raise UserError(f"{place}.camera: {said}; expected one of {known}")
    if features[wanted]["dtype"] == "video":
        raise UserError(
            f"{place}: {wanted} is stored as video, whose frames are not those that were recorded; "
            "expected images: record or convert it with `use_videos=False`"
        )
    return wanted


def columns_in(
    info: Mapping[str, Any],
    wanted: Mapping[Any, int] | None,
    columns: tuple[str, ...],
    place: str,
) -> tuple[int | None, ...]:
    """Return where each velocity stands in the feature ``action``; None where it is always 0.

    Args:
        info: the content of ``info.json``.
        wanted: the places by name; None to go by the feature's own names.
        columns: the velocities.
        place: where config.yaml names the dataset.

    Raises:
        UserError: there is no such feature or place, or its names say nothing.
    """
    action = info["features"].get(ACTION)
    if action is None or len(action["shape"]) != 1 or not action["dtype"].startswith("float"):
        raise UserError(f"{place}: found no {ACTION!r} of floating-point numbers, expected (A,)")
    size, names = action["shape"][0], action["names"]
    if isinstance(names, Mapping):  # older writers: {"motors": […]}
        names = [name for group in names.values() for name in group]
    if wanted is None:
        wanted = {name: at for at, name in enumerate(names or []) if name in columns}
    if not wanted or any(at >= size for at in wanted.values()):
        raise UserError(
            f"{place}.columns: found {dict(wanted) or 'none'} for an {ACTION!r} of {size} numbers "
            f"named {names}; expected the places of {', '.join(columns)}, such as "
            "`columns: {linear_x: 0, angular_z: 1}`"
        )
    return tuple(wanted.get(name) for name in columns)

"""Read ``meta/info.json`` of a LeRobotDataset: where its images, velocities and files are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.config.entries import LerobotDataset
from mobile_vla.config.mistakes import Source
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import Problem, Problems
from mobile_vla.files import read_json
from mobile_vla.lerobot.result import ACTION, INFO, VERSION

MAJOR = VERSION.partition(".")[0]
HEADING = "the dataset {name!r} cannot be read"
COPY = "copy the dataset again, or convert it with LeRobot's own scripts"

MOST_RATES = 6  # that a message lists

NAMES: dict[str, tuple[str, ...]] = {
    "linear_x": ("linear_x", "x.vel", "linear.x", "linear.vel", "mobile_base.vx", "vx"),
    "linear_y": ("linear_y", "y.vel", "linear.y", "mobile_base.vy", "vy"),
    "angular_z": (
        "angular_z",
        "theta.vel",
        "angular.z",
        "angular.vel",
        "mobile_base.vtheta",
        "vtheta",
    ),
}
"""Names of each velocity: ours, LeKiwi's, those of ROS's Twist, of LeRobot's rovers with two
wheels, of Reachy 2, and plain ones."""


@dataclass(frozen=True)
class Description:
    """What an import needs to know of a dataset."""

    camera: str
    """Feature that holds the images."""
    columns: tuple[int | None, ...]
    """Places of linear_x, linear_y and angular_z in the feature ``action``; None: always 0."""
    fps: float
    """Frames a second, as they are stored."""
    every: int
    """Of so many frames the first is imported."""
    data_path: str
    """Pattern of the Parquet files' paths, by ``chunk_index`` and ``file_index``."""
    video_path: str | None
    """Pattern of the videos' paths, by ``video_key`` too; None for images in the Parquet files."""


def describe(
    folder: Path, name: str, dataset: LerobotDataset, source: Source, wrong: list[Problem]
) -> Description | None:
    """Return what a dataset says of itself, or None, and note all that is wrong.

    Args:
        folder: of the dataset.
        name: of the dataset in config.yaml.
        dataset: its settings.
        source: where they stand.
        wrong: the problems, which others are added to.

    Raises:
        Problems: so much is wrong that the other files cannot be judged.
    """
    before = len(wrong)
    path = folder / INFO
    info = read_json(path) if path.is_file() else {}
    if not isinstance(info, dict) or not info:
        found, expected = f"{folder} has no {INFO}", f"the folder of a LeRobotDataset {MAJOR}"
        wrong.append(Problem(source.place(("datasets", name, "path")), found, expected))
        raise Problems(HEADING.format(name=name), wrong)
    is_known = _check_version(info, path, wrong)
    features = _field(info, "features", dict, path, wrong) or {}
    features = {name: one for name, one in features.items() if isinstance(one, dict)}
    camera = columns = data_path = video_path = fps = None
    if features:
        place = source.place(("datasets", name, "camera"))
        camera = _camera(features, dataset.camera, place, wrong)
        place = source.place(("datasets", name, "columns"))
        columns = _columns(features.get(ACTION), dataset.columns, place, wrong)
    if not is_known:
        raise Problems(HEADING.format(name=name), wrong)
    fps = _field(info, "fps", (int, float), path, wrong)
    if fps is not None and (isinstance(fps, bool) or not 0 < fps < math.inf):
        wrong.append(Problem(f"{path} (fps)", f"found {fps!r}", "frames a second", COPY))
        fps = None
    data_path = _pattern(info, "data_path", path, wrong)
    if camera is not None and features[camera]["dtype"] == "video":
        video_path = _pattern(info, "video_path", path, wrong)
    place = source.place(("datasets", name, "rate"))
    every = None if fps is None else _every(fps, dataset, place, wrong)
    if len(wrong) > before:
        return None
    assert camera is not None and columns is not None and data_path is not None
    assert fps is not None and every is not None
    return Description(camera, columns, fps, every, data_path, video_path)


def _every(fps: float, dataset: LerobotDataset, place: str, wrong: list[Problem]) -> int | None:
    """Return of how many frames one is imported."""
    if dataset.rate is None:
        return dataset.every or 1
    every = round(fps / dataset.rate)
    if every >= 1 and math.isclose(every * dataset.rate, fps, rel_tol=1e-6):
        return every
    some = ", ".join(f"{fps / count:g}" for count in range(1, MOST_RATES + 1))
    expected = f"a rate that divides it: {some} and so on"
    wrong.append(Problem(place, f"{dataset.rate:g} of {fps:g} frames a second", expected))
    return None


def _check_version(info: Mapping[str, Any], path: Path, wrong: list[Problem]) -> bool:
    """Return whether the version is one whose fields are known.

    Later minor versions are read as far as the fields are there that are needed.
    """
    version = _field(info, "codebase_version", str, path, wrong)
    if version is None or version.partition(".")[0] == MAJOR:
        return version is not None
    remedy = "convert it with LeRobot's own scripts (lerobot.datasets.v30 for older ones)"
    place = f"{path} (codebase_version)"
    wrong.append(Problem(place, f"found {version}", f"{VERSION} or a later {MAJOR}", remedy))
    return False


def _field(
    info: Mapping[str, Any],
    name: str,
    kind: type | tuple[type, ...],
    path: Path,
    wrong: list[Problem],
) -> Any:
    """Return a field, or None where it is missing or of another kind."""
    if name not in info or info[name] is None:
        said = info.get("codebase_version")
        found = f"no field {name!r} in a dataset of version {said}"
        wrong.append(Problem(str(path), found, f"the field, as {VERSION} has it", COPY))
        return None
    value = info[name]
    if not isinstance(value, kind) or value in (0, False):
        wrong.append(Problem(f"{path} ({name})", f"found {value!r}", f"what {VERSION} has", COPY))
        return None
    return value


def _pattern(info: Mapping[str, Any], name: str, path: Path, wrong: list[Problem]) -> str | None:
    """Return the pattern of a path."""
    pattern: str | None = _field(info, name, str, path, wrong)
    known = ("chunk_index", "file_index", *(["video_key"] if name == "video_path" else []))
    if pattern is None:
        return None
    try:
        pattern.format(**dict.fromkeys(known, 0))
    except (IndexError, KeyError, ValueError, AttributeError):
        expected = f"a path with {', '.join(f'{{{one}}}' for one in known)} and nothing else"
        wrong.append(Problem(f"{path} ({name})", f"found {pattern!r}", expected, COPY))
        return None
    return pattern


def _camera(
    features: Mapping[str, Any], wanted: str | None, place: str, wrong: list[Problem]
) -> str | None:
    """Return the feature that holds the images; where ``wanted`` is None there must be one."""
    cameras = [
        name
        for name, feature in features.items()
        if feature.get("dtype") in ("image", "video") and not _is_depth(feature)
    ]
    if wanted is None and len(cameras) == 1:
        return cameras[0]
    if wanted is not None and wanted in cameras:
        return wanted
    found = "no camera is named" if wanted is None else f"found {wanted!r}"
    if wanted is not None and _is_depth(features.get(wanted, {})):
        found += ", which holds depths and no pictures"
    known = ", ".join(cameras) or "those of the dataset, which has none"
    wrong.append(Problem(place, found, f"one of {known}"))
    return None


def _is_depth(feature: Mapping[str, Any]) -> bool:
    said = [feature.get(place) for place in ("info", "video_info")]
    return any(
        bool(one.get(name))
        for one in said
        if isinstance(one, Mapping)
        for name in ("video.is_depth_map", "is_depth_map")
    )


def _columns(
    action: Mapping[str, Any] | None,
    wanted: Mapping[Any, int | str] | None,
    place: str,
    wrong: list[Problem],
) -> tuple[int | None, ...] | None:
    """Return where each velocity stands in the feature ``action``; None where it is always 0.

    Without ``wanted``, their places or names, the feature's own names decide.
    """
    if action is None or not _is_vector(action):
        expected = f"a feature {ACTION!r} of floating-point numbers, (A,)"
        found = f"no {ACTION!r}" if action is None else f"{ACTION!r} of another form"
        wrong.append(Problem(place, found, expected))
        return None
    (size,), names = action["shape"], _names(action.get("names"))
    if wanted is None:
        return _recognised(names, size, place, wrong)
    places: dict[Any, int] = {}
    for dimension, given in wanted.items():
        at = names.index(given) if given in names else given
        if isinstance(at, int) and at < size:
            places[dimension] = at
            continue
        expected = f"one of {', '.join(names)}, or a place" if names else "a place"
        found = f"found {given!r} for {dimension}"
        wrong.append(Problem(place, found, f"{expected} from 0 to {size - 1}"))
    return tuple(places.get(name) for name in ACTION_COLUMNS)


def _is_vector(feature: Mapping[str, Any]) -> bool:
    shape = feature.get("shape")
    numbers = str(feature.get("dtype")).startswith("float")
    return numbers and isinstance(shape, list) and len(shape) == 1


def _names(names: Any) -> list[str]:
    """Return a feature's names.

    Older writers group them, ``{"motors": […]}``, and those for a gamepad number them,
    ``{"delta_x": 0, …}``.
    """
    if isinstance(names, Mapping) and all(isinstance(place, int) for place in names.values()):
        names = sorted(names, key=lambda name: names[name])
    elif isinstance(names, Mapping):
        groups = [group for group in names.values() if isinstance(group, list)]
        names = [name for group in groups for name in group]
    return [str(name) for name in names] if isinstance(names, list) else []


def _recognised(
    names: Sequence[str], size: int, place: str, wrong: list[Problem]
) -> tuple[int | None, ...] | None:
    """Return the places of the velocities whose names are known."""
    found = {
        dimension: [names.index(name) for name in NAMES[dimension] if name in names]
        for dimension in ACTION_COLUMNS
    }
    such_as = "say where they are, such as `columns: {linear_x: x.vel, angular_z: theta.vel}`"
    for dimension, places in found.items():
        if len(places) > 1:
            several = " and ".join(names[at] for at in places)
            wrong.append(Problem(place, f"{several}, both {dimension} by name", "one", such_as))
    if not any(found.values()):
        said = f"named {', '.join(names)}" if names else "without names"
        known = ", ".join(sorted({name for all_of in NAMES.values() for name in all_of}))
        expected = f"velocities named as one of {known}"
        wrong.append(Problem(place, f"{ACTION!r} of {size} numbers {said}", expected, such_as))
    return tuple(places[0] if places else None for places in found.values())

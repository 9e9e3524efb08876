"""List the episodes of a LeRobotDataset and their data files, without heavy imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.config.entries import LerobotDataset
from mobile_vla.config.lerobot import ImportSettings, VideoSpan
from mobile_vla.config.mistakes import Source
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import UserError
from mobile_vla.files import read_json
from mobile_vla.lerobot.result import ACTION, INFO, OURS, VERSION, ExportedDataset, ExportedEpisode

INSTALL = "python -m pip install -r envs/requirements-lerobot.txt -c envs/constraints.txt"
INDEX = "meta/episodes"
COLUMNS = ("episode_index", "tasks", "length", "data/chunk_index", "data/file_index")


@dataclass(frozen=True)
class ListedEpisode:
    """An episode: what is to be imported, and the files that hold it."""

    settings: ImportSettings
    data: Path
    """Parquet file with its rows."""
    video: Path | None
    """File with its images, where they are stored as video."""

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [self.data] if self.video is None else [self.data, self.video]


def lerobot_episodes(
    name: str, dataset: LerobotDataset, source: Source
) -> dict[str, ListedEpisode]:
    """Return the episodes of a dataset of config.yaml by name.

    An episode that was exported from here keeps its name; another is named by its number.

    Args:
        name: of the dataset.
        dataset: its settings.
        source: where they stand.

    Raises:
        UserError: the folder holds no such dataset, or one that cannot be read.
    """
    place, camera_place, columns_place = (
        source.place(("datasets", name, key)) for key in ("path", "camera", "columns")
    )
    folder = Path(dataset.path).expanduser()
    info = _read_info(folder, place)
    camera = _camera(info["features"], dataset.camera, camera_place)
    columns = _columns(info["features"].get(ACTION), dataset.columns, columns_place)
    is_video = info["features"][camera]["dtype"] == "video"
    columns_of_video = _video_columns(camera) if is_video else ()
    rows = sorted(
        _index(folder, (*COLUMNS, *columns_of_video), place),
        key=lambda row: int(row["episode_index"]),
    )
    ours = _exported(folder, [int(row["length"]) for row in rows])
    listed: dict[str, ListedEpisode] = {}
    for row in rows:
        number = int(row["episode_index"])
        exported = ours.get(number)
        episode = f"episode_{number:06d}" if exported is None else exported.episode
        if set("{}/") & set(episode):
            raise UserError(
                f"{folder / OURS}: found the name {episode!r}, expected one without braces and "
                "slashes, which mean something else to the workflow; rename the episode"
            )
        path = info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        video, span = None, None
        if is_video:
            chunk, file, start = (row[name] for name in columns_of_video)
            where = {"video_key": camera, "chunk_index": chunk, "file_index": file}
            video = folder / info["video_path"].format(**where)
            span = VideoSpan(start=start, fps=info["fps"])
        attributes = {"num_frames": row["length"]} if exported is None else exported.attributes
        settings = ImportSettings(
            dataset=name,
            episode=episode,
            index=number,
            frames=row["length"],
            camera=camera,
            video=span,
            columns=columns,
            instruction=_task(row, folder) if exported is None else exported.instruction,
            event_types=None if exported is None else exported.event_types,
            attributes=attributes,
        )
        listed[episode] = ListedEpisode(settings, folder / path, video)
    if not listed:
        raise UserError(f"{place}: {folder} holds no episode")
    return listed


def _read_info(folder: Path, place: str) -> dict[str, Any]:
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


def _camera(features: Mapping[str, Any], wanted: str | None, place: str) -> str:
    """Return the feature that holds the images; where ``wanted`` is None there must be one."""
    cameras = [name for name, feature in features.items() if feature["dtype"] in ("image", "video")]
    if wanted is None and len(cameras) == 1:
        wanted = cameras[0]
    if wanted is None or wanted not in cameras:
        said = "no camera is named" if wanted is None else f"found {wanted!r}"
        known = ", ".join(cameras) or "those of the dataset, which has none"
        raise UserError(f"{place}: {said}; expected one of {known}")
    return wanted


def _columns(
    action: Mapping[str, Any] | None, wanted: Mapping[Any, int] | None, place: str
) -> tuple[int | None, ...]:
    """Return where each velocity stands in the feature ``action``; None where it is always 0.

    Without ``wanted``, the places by name, the feature's own names decide.
    """
    if action is None or len(action["shape"]) != 1 or not action["dtype"].startswith("float"):
        raise UserError(f"{place}: found no {ACTION!r} of floating-point numbers, expected (A,)")
    size, names = action["shape"][0], action["names"]
    if isinstance(names, Mapping):  # older writers: {"motors": […]}
        names = [name for group in names.values() for name in group]
    if wanted is None:
        wanted = {name: at for at, name in enumerate(names or []) if name in ACTION_COLUMNS}
    if not wanted or any(at >= size for at in wanted.values()):
        raise UserError(
            f"{place}: found {dict(wanted) or 'none'} for an {ACTION!r} of {size} numbers "
            f"named {names}; expected the places of {', '.join(ACTION_COLUMNS)}, such as "
            "`columns: {linear_x: 0, angular_z: 1}`"
        )
    return tuple(wanted.get(name) for name in ACTION_COLUMNS)


def _video_columns(camera: str) -> tuple[str, str, str]:
    """Return the columns of the index that say where a camera's video is."""
    places = ("chunk_index", "file_index", "from_timestamp")
    first, second, third = (f"videos/{camera}/{name}" for name in places)
    return first, second, third


def _index(folder: Path, columns: Sequence[str], place: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the index of episodes, without their statistics."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise UserError(
            f"{place}: a LeRobotDataset needs the package pyarrow; install it with\n    {INSTALL}"
        ) from None
    paths = sorted((folder / INDEX).glob("*/*.parquet"))
    if not paths:
        raise UserError(f"{place}: {folder / INDEX} has no index of episodes (*/*.parquet)")
    for path in paths:
        try:
            yield from pq.read_table(path, columns=list(columns)).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{path}: cannot be read as an index of episodes: {error}") from None


def _exported(folder: Path, lengths: list[int]) -> dict[int, ExportedEpisode]:
    """Return the episodes that were exported from here, by number; LeRobot may add others later."""
    path = folder / OURS
    if not path.is_file():
        return {}
    episodes = ExportedDataset.read(path).episodes
    for number, exported in enumerate(episodes):
        if number >= len(lengths) or lengths[number] != exported.frames:
            here = lengths[number] if number < len(lengths) else "no"
            raise UserError(
                f"{path}: episode {number} was {exported.episode} with {exported.frames} frames, "
                f"and has {here} now: episodes were removed or reordered; remove the file, and "
                "episodes are named by their numbers"
            )
        assert exported.event_types is None or len(exported.event_types) == exported.frames
    return dict(enumerate(episodes))


def _task(row: Mapping[str, Any], folder: Path) -> str:
    if len(row["tasks"]) != 1:
        raise UserError(
            f"{folder / INDEX}: episode {row['episode_index']} has {len(row['tasks'])} "
            "instructions, expected one for all of its frames; split it where they change"
        )
    return str(row["tasks"][0])

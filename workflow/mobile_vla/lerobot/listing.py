"""List the episodes of a LeRobotDataset and their data files, without heavy imports."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.config.entries import LerobotDataset
from mobile_vla.config.ingest import Images
from mobile_vla.config.lerobot import Imported, ImportSettings, VideoEpisode, VideoSettings
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.lerobot.description import COPY, HEADING, Description, describe
from mobile_vla.lerobot.packages import INSTALL
from mobile_vla.lerobot.result import OURS, VERSION, ExportedDataset, ExportedEpisode

INDEX = "meta/episodes"
JOB_FRAMES = 6000  # about half a minute of decoding: starting Python takes as long as 100 frames
LONGEST = 1e9  # seconds of a video
JOB_EPISODES = 100  # at most: their files stand on a command line
COLUMNS = ("episode_index", "tasks", "length", "data/chunk_index", "data/file_index")


@dataclass(frozen=True)
class ListedEpisode:
    """An episode: what is to be imported, and the files that hold it."""

    settings: ImportSettings
    data: Path
    """Parquet file with its rows."""
    video: Path | None = None
    """File with its images, where they are stored as video."""
    start: float = 0.0
    """Where it begins in that file, in seconds."""
    fps: float = 0.0
    """Frames a second of the dataset."""

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [self.data] if self.video is None else [self.data, self.video]

    @property
    def of_video(self) -> VideoEpisode:
        """What ``import_videos`` is given of it."""
        shared = {name: getattr(self.settings, name) for name in Imported.model_fields}
        return VideoEpisode(**shared, start=self.start)


@dataclass(frozen=True)
class VideoJob:
    """Episodes of one video file that are imported by one job."""

    settings: VideoSettings
    data: list[Path]
    """For each the Parquet file with its rows."""
    video: Path

    @property
    def name(self) -> str:
        """Name of the first episode, which no other job has."""
        return self.settings.episodes[0].episode


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
        Problems: the folder holds no such dataset, or one that cannot be read: all that is wrong.
        UserError: its episodes are not those that were exported from here, or a package is missing.
    """
    place = source.place(("datasets", name, "path"))
    folder = Path(dataset.path).expanduser()
    wrong: list[Problem] = []
    described = describe(folder, name, dataset, source, wrong)
    in_video = () if described is None else _video_columns(described)
    rows = _rows(_index(folder, place, wrong), (*COLUMNS, *in_video), wrong)
    if not wrong and not rows:
        wrong.append(Problem(place, f"{folder} holds no episode", "one at least"))
    for row in rows:
        if len(row["tasks"]) != 1:
            found = f"episode {row['episode_index']} has {len(row['tasks'])} instructions"
            expected, remedy = "one for all of its frames", "split the episode where they change"
            wrong.append(Problem(str(folder / INDEX), found, expected, remedy))
    if wrong or described is None:
        raise Problems(HEADING.format(name=name), wrong)
    ours = _exported(folder, [int(row["length"]) for row in rows])
    listed = (
        _listed(name, folder, described, row, ours.get(int(row["episode_index"]))) for row in rows
    )
    return {one.settings.episode: one for one in listed}


def video_jobs(folder: Path, episodes: Iterable[ListedEpisode], images: Images) -> list[VideoJob]:
    """Return the jobs that import a dataset of videos: each some thousand frames of one file.

    An episode that is appended changes no other file's jobs.

    Args:
        folder: of the dataset.
        episodes: those of the dataset, in the order of their numbers; other ones are left out.
        images: how images become frames, with the colour order settled.
    """
    groups: list[list[ListedEpisode]] = []
    for one in episodes:
        if one.video is None:
            continue
        last = groups[-1] if groups else []
        frames = sum(other.settings.frames for other in last)
        full = frames >= JOB_FRAMES or len(last) >= JOB_EPISODES
        if full or not last or last[0].video != one.video:
            groups.append([one])
        else:
            last.append(one)
    jobs = []
    for first, *others in groups:
        assert first.video is not None
        settings = VideoSettings(
            dataset=first.settings.dataset,
            file=str(first.video.relative_to(folder)),
            fps=first.fps,
            every=first.settings.every,
            columns=first.settings.columns,
            images=images,
            episodes=tuple(one.of_video for one in (first, *others)),
        )
        jobs.append(VideoJob(settings, [one.data for one in (first, *others)], first.video))
    return jobs


def _listed(
    name: str,
    folder: Path,
    described: Description,
    row: Mapping[str, Any],
    exported: ExportedEpisode | None,
) -> ListedEpisode:
    """Return an episode by its row of the index and, if it was exported from here, by that."""
    number = int(row["episode_index"])
    data = described.data_path.format(
        chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
    )
    video, start = None, 0.0
    if described.video_path is not None:
        chunk, file, start = (row[column] for column in _video_columns(described))
        where = {"video_key": described.camera, "chunk_index": chunk, "file_index": file}
        video = folder / described.video_path.format(**where)
    every, frames = described.every, int(row["length"])
    attributes = {"num_frames": frames} if exported is None else exported.attributes
    if every > 1 and "num_frames" in attributes:
        attributes = {**attributes, "num_frames": len(range(0, frames, every))}
    events = None if exported is None else exported.event_types
    settings = ImportSettings(
        dataset=name,
        episode=f"episode_{number:06d}" if exported is None else exported.episode,
        index=number,
        frames=frames,
        every=every,
        camera=described.camera,
        columns=described.columns,
        instruction=str(row["tasks"][0]) if exported is None else exported.instruction,
        event_types=None if events is None else tuple(events[::every]),
        attributes=attributes,
    )
    return ListedEpisode(settings, folder / data, video, float(start), described.fps)


def _video_columns(described: Description) -> tuple[str, ...]:
    """Return the columns of the index that say where an episode's video is."""
    if described.video_path is None:
        return ()
    places = ("chunk_index", "file_index", "from_timestamp")
    return tuple(f"videos/{described.camera}/{place}" for place in places)


def _index(folder: Path, place: str, wrong: list[Problem]) -> list[Path]:
    """Return the files of the index of episodes."""
    if importlib.util.find_spec("pyarrow") is None:
        found = "a LeRobotDataset needs the package pyarrow, which is not installed"
        raise UserError(f"{place}: {found}; install it with\n    {INSTALL}")
    paths = sorted((folder / INDEX).glob("*/*.parquet"))
    if not paths:
        wrong.append(Problem(place, f"{folder / INDEX} has no index of episodes", "*/*.parquet"))
    return paths


def _rows(
    paths: Sequence[Path], columns: Sequence[str], wrong: list[Problem]
) -> list[dict[str, Any]]:
    """Return the rows of the index by episode, without their statistics."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            missing = [name for name in columns if name not in pq.read_schema(path).names]
            if missing:
                found = f"no column {', '.join(missing)}"
                wrong.append(Problem(str(path), found, f"the index of {VERSION}", COPY))
            else:
                table = pq.read_table(path, columns=list(columns))
                listed = table.to_pylist()
                unusual = [one for name in columns for one in _unusual(listed, name, path)]
                wrong += unusual
                rows += [] if unusual else listed
        except (OSError, pa.ArrowException) as error:
            said = " ".join(str(error).split())
            wrong.append(Problem(str(path), f"cannot be read as an index of episodes: {said}"))
    rows = sorted(rows, key=lambda row: int(row["episode_index"]))
    for one, other in itertools.pairwise(rows):
        if one["episode_index"] == other["episode_index"]:
            found = f"episode {one['episode_index']} is listed twice"
            wrong.append(Problem(str(paths[0].parent.parent), found, "each once", COPY))
    return rows


def _unusual(rows: Sequence[Mapping[str, Any]], name: str, path: Path) -> list[Problem]:
    """Return what is wrong with the first value of a column that is not what its name says."""
    expected, is_usual = "a whole number from 0", _is_count
    if name == "tasks":
        expected, is_usual = "a list of texts", _is_texts
    elif name == "length":
        expected, is_usual = "a whole number from 1", lambda value: _is_count(value) and value > 0
    elif name.endswith("from_timestamp"):
        expected, is_usual = "seconds from 0", _is_seconds
    for number, row in enumerate(rows):
        if not is_usual(row[name]):
            place = f"{path}, row {number}, {name}"
            return [Problem(place, f"found {row[name]!r}", f"{expected}, as in {VERSION}", COPY)]
    return []


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= LONGEST


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
        if set("{}/") & set(exported.episode):
            raise UserError(
                f"{path}: found the name {exported.episode!r}, expected one without braces and "
                "slashes, which mean something else to the workflow; rename the episode"
            )
        assert exported.event_types is None or len(exported.event_types) == exported.frames
    return dict(enumerate(episodes))

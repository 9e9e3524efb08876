"""The tool ``export-lerobot``: write a dataset as a LeRobotDataset v3, images in Parquet files."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mobile_vla.config.entries import MixtureDataset, RecordedDataset
from mobile_vla.config.fields import Fields
from mobile_vla.config.loading import read_project
from mobile_vla.config.prompt import INSTRUCTION, Prompt
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.prompts import lacking, lacks, prompt_values, render
from mobile_vla.data.result import Manifest
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import write_json, write_text
from mobile_vla.ingest.chunks import image_blocks
from mobile_vla.ingest.groups import content_of
from mobile_vla.ingest.rawfile import Rejected, open_raw
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.lerobot.result import (
    ACTION,
    INFO,
    OURS,
    STATE,
    VERSION,
    ExportedDataset,
    ExportedEpisode,
)
from mobile_vla.lerobot.tables import (
    INDICES,
    LEVELS,
    data_schema,
    described_features,
    histogram,
    of_images,
    of_values,
    tasks_table,
)

log = logging.getLogger(__name__)

COMPRESSION = 3  # of PNG: half the time of the usual 6, for a few per cent of the bytes
FORMAT = 1  # of `meta/mobile_vla.json`

FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = f"data/{FILE}"
EPISODES = f"meta/episodes/{FILE}"
STATISTICS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
CAMERAS = "observation.images."

CHUNK_FILES = 1000  # most files of a folder
DATA_MB = 100  # MiB, about the most of a data file
VIDEO_MB = 200

AS_INGESTED = "it was ingested with others: run snakemake again, then export"

CARD = """\
---
task_categories: [robotics]
tags: [LeRobot]
configs:
- config_name: default
  data_files: data/*/*.parquet
---
The dataset `{dataset}`: {episodes} episodes, {frames} frames of {width}×{height} pixels, as a
LeRobotDataset {version}.

`{action}` holds commands of a mobile robot ({columns}), in raw command units of the tele-operation
and not in metres a second. The episodes have no time stamps: {fps} frames a second is a nominal
figure.
"""


def export_lerobot(
    dataset: str,
    folder: Path,
    *,
    config: Path = Path("config.yaml"),
    results: Path = Path("results"),
    camera: str = "front",
    task: str | None = None,
    fps: int = 1,
) -> None:
    """Write a dataset's episodes as a LeRobotDataset v3, with every pixel of the raw images.

    Exported are the episodes of the dataset's manifest: those that the experiments use.

    Args:
        dataset: its name in config.yaml.
        folder: the folder to write; it must not be there yet.
        config: the configuration.
        results: where the workflow's results lie.
        camera: name of the camera; its images become `observation.images.NAME`.
        task: instruction of the episodes whose files have none, such as "pass on the {side}".
        fps: frames a second that the time stamps claim; the episodes have none of their own.

    Raises:
        UserError: the manifest is not there, a raw file is not as it was ingested, an episode has
            no instruction, or the images differ in size.
    """
    if folder.exists():
        raise UserError(f"{folder}: it is there already; name a folder that is not")
    if fps < 1:
        raise UserError(f"--fps {fps}: expected 1 or more")
    project = read_project(config)
    if dataset not in project.datasets:
        known = ", ".join(project.datasets)
        raise UserError(f"{config} (datasets): no {dataset!r}; expected one of {known}")
    settings = project.datasets[dataset]
    if isinstance(settings, MixtureDataset):
        raise UserError(
            f"{config} (datasets.{dataset}): a mixture, which has no raw files of its own; export "
            f"its datasets one by one: {', '.join(settings.datasets)}"
        )
    place = results / "datasets" / dataset
    fields = settings.fields if isinstance(settings, RecordedDataset) else None
    listed = place / "manifest.json"
    if not listed.is_file():
        raise UserError(
            f"{listed}: not there; `snakemake --cores 1 {listed}` checks the episodes first"
        )
    manifest = Manifest.read(listed)
    facts = [
        EpisodeFacts.read(place / "episodes" / f"{episode.name}.json")
        for episode in manifest.episodes
    ]
    outside = isinstance(settings, RecordedDataset) or any(one.video for one in facts)
    raw_folder = Path(project.dataset_folder(dataset) or "") if outside else Path()
    tasks = _tasks(facts, task)
    shape, state = _shape(facts), _state(facts)
    bgr = settings.images.settled().color == "bgr"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".exporting-") as unfinished:
        target = Path(unfinished, folder.name)
        written = _Written(target, CAMERAS + camera, fps, bgr, fields, state)
        for episode, text in zip(facts, tasks, strict=True):
            written.add(raw_folder.expanduser() / episode.file, episode, text)
        written.close(shape)
        ExportedDataset(
            format=FORMAT,
            dataset=manifest.dataset,
            manifest=manifest.digest,
            episodes=tuple(
                ExportedEpisode(
                    episode=episode.episode,
                    frames=episode.frames,
                    instruction=episode.instruction,
                    event_types=episode.event_types,
                    attributes=episode.attributes,
                    raw_sha256=episode.raw.sha256,
                )
                for episode in facts
            ),
        ).write(target / OURS)
        card = {"dataset": dataset, "episodes": len(facts), "frames": written.frames}
        size = {"height": shape[0], "width": shape[1], "fps": fps, "version": VERSION}
        columns = ", ".join(ACTION_COLUMNS)
        text = CARD.format(**card, **size, action=ACTION, columns=columns)
        write_text(target / "README.md", text)
        target.rename(folder)
    log.info("%s: %d episodes, %d frames", folder, len(facts), written.frames)


def _tasks(facts: Sequence[EpisodeFacts], template: str | None) -> list[str]:
    """Return each episode's instruction; refuse episodes that have none."""
    stated = Prompt(template=f"{{{INSTRUCTION}}}")
    otherwise = stated if template is None else Prompt(template=template)
    tasks, problems = [], []
    for episode in facts:
        prompt = otherwise if episode.instruction is None else stated
        values = prompt_values(episode)
        if missing := lacks(prompt, values):
            problems.append(Problem(episode.file, "; ".join(map(lacking, missing))))
        else:
            tasks.append(render(prompt, values))
    if problems:
        raise Problems(
            "each episode of a LeRobotDataset has an instruction; say what it is with `--task`, "
            'such as `--task "pass on the {side}"`',
            problems,
        )
    return tasks


def _shape(facts: Sequence[EpisodeFacts]) -> tuple[int, int, int]:
    """Return the size of all images; refuse several, since the format has one for a dataset."""
    shapes = sorted({episode.raw_shape for episode in facts if episode.raw_shape is not None})
    if len(shapes) > 1:
        sizes = ", ".join(f"{width}×{height}" for height, width, _ in shapes)
        raise UserError(
            f"the images have different sizes ({sizes}), and a LeRobotDataset has one; export "
            "datasets of one size each, by their `pattern`"
        )
    return shapes[0]


def _state(facts: Sequence[EpisodeFacts]) -> int:
    """Return the length of all episodes' states, 0 for none; refuse several."""
    lengths = sorted({len(episode.state[0]) if episode.state else 0 for episode in facts})
    if len(lengths) > 1:
        raise UserError(
            f"the states have different lengths ({', '.join(map(str, lengths))}), and a "
            "LeRobotDataset has one; export datasets of one length each, by their `pattern`"
        )
    return lengths[0]


@dataclass
class _Written:
    """A dataset that is written episode by episode."""

    folder: Path
    camera: str
    fps: int
    bgr: bool
    fields: Fields | None
    """Where the parts of an episode stand; None for the collector's layout."""
    state: int
    """Length of the robot's state, 0 where there is none."""
    frames: int = 0
    file: int = 0
    """Number of the data file that is written to."""
    size: int = 0
    """Bytes of the images in it."""
    writer: pq.ParquetWriter | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    tasks: dict[str, int] = field(default_factory=dict)
    levels: np.ndarray = field(default_factory=lambda: np.zeros((3, LEVELS), dtype=np.int64))
    """(3, 256) how often each level occurs in all images."""
    values: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, path: Path, facts: EpisodeFacts, task: str) -> None:
        """Write the rows of an episode from its raw file, and note where they are."""
        number, length = len(self.rows), facts.frames
        levels = np.zeros_like(self.levels)
        images: list[bytes] = []
        for image in _of_video(path, facts) if facts.video else self._of_raw_file(path, facts):
            picture = np.ascontiguousarray(image[..., ::-1] if self.bgr else image)
            levels += histogram(picture)
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG", compress_level=COMPRESSION)
            images.append(file.getvalue())
        columns = self._columns(facts, number, task)
        self._write(images, columns)
        statistics = {
            self.camera: of_images(levels, length),
            **{name: of_values(values) for name, values in columns.items()},
        }
        self.rows.append(
            {
                "episode_index": number,
                "tasks": [task],
                "length": length,
                **_place("data/", self.file),
                "dataset_from_index": self.frames,
                "dataset_to_index": self.frames + length,
                **{
                    f"stats/{feature}/{name}": value
                    for feature, values in statistics.items()
                    for name, value in values.items()
                },
                **_place("meta/episodes/", 0),
            }
        )
        self.frames += length
        self.levels += levels
        for name, values in columns.items():
            self.values.setdefault(name, []).append(values)

    def _of_raw_file(self, path: Path, facts: EpisodeFacts) -> Iterator[np.ndarray]:
        """Yield the images (H, W, 3) of an episode, whose bytes are checked."""
        self._verify(path, facts)
        with open_raw(path) as raw:
            for _, block in image_blocks(raw, facts.image_place, _ignore):
                yield from block

    def _verify(self, path: Path, facts: EpisodeFacts) -> None:
        """Check that a raw episode is as it was ingested."""
        if not facts.inside:
            facts.raw.verify(path, AS_INGESTED)
        elif content_of(path, self.fields, facts.inside) != facts.raw:
            found = "its bytes are not those that were read"
            raise UserError(f"{path}, {facts.inside}: {found}; {AS_INGESTED}")

    def _columns(self, facts: EpisodeFacts, number: int, task: str) -> dict[str, np.ndarray]:
        at = np.arange(facts.frames, dtype=np.int64)
        task_index = self.tasks.setdefault(task, len(self.tasks))
        indices = (at, np.full_like(at, number), at + self.frames, np.full_like(at, task_index))
        return {
            ACTION: np.array(facts.actions, dtype=np.float32),
            **({} if facts.state is None else {STATE: np.array(facts.state, dtype=np.float32)}),
            "timestamp": (at / self.fps).astype(np.float32),
            **dict(zip(INDICES, indices, strict=True)),
        }

    def _write(self, images: Sequence[bytes], columns: Mapping[str, np.ndarray]) -> None:
        size = sum(map(len, images))
        self.size += size
        if self.writer is not None and self.size > DATA_MB * 2**20:
            self.writer.close()
            self.writer, self.file, self.size = None, self.file + 1, size
        schema = data_schema(self.camera, self.state)
        if self.writer is None:
            path = self.folder / DATA.format(**_numbers(self.file))
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(path, schema, compression="snappy")
        stored = [
            {"bytes": image, "path": f"frame-{index:06d}.png"} for index, image in enumerate(images)
        ]
        arrays: dict[str, Any] = {name: values.tolist() for name, values in columns.items()}
        # an episode is a row group, so that one can be read without the others
        self.writer.write_table(pa.table({self.camera: stored, **arrays}, schema=schema))

    def close(self, shape: tuple[int, int, int]) -> None:
        """Write what is known of all episodes together."""
        assert self.writer is not None  # there is an episode at least
        self.writer.close()
        index = self.folder / EPISODES.format(**_numbers(0))
        index.parent.mkdir(parents=True)
        rows = pa.table({name: [row[name] for row in self.rows] for name in self.rows[0]})
        pq.write_table(rows, index, compression="snappy")
        pq.write_table(tasks_table(list(self.tasks)), self.folder / TASKS)
        statistics = {
            self.camera: of_images(self.levels, self.frames),
            **{name: of_values(np.concatenate(values)) for name, values in self.values.items()},
        }
        write_json(self.folder / STATISTICS, statistics)
        write_json(
            self.folder / INFO,
            {
                "codebase_version": VERSION,
                "robot_type": None,
                "total_episodes": len(self.rows),
                "total_frames": self.frames,
                "total_tasks": len(self.tasks),
                "chunks_size": CHUNK_FILES,
                "data_files_size_in_mb": DATA_MB,
                "video_files_size_in_mb": VIDEO_MB,
                "fps": self.fps,
                "splits": {"train": f"0:{len(self.rows)}"},
                "data_path": DATA,
                "video_path": None,
                "features": described_features(self.camera, shape, self.state),
            },
        )


def _numbers(file: int) -> dict[str, int]:
    chunk, number = divmod(file, CHUNK_FILES)
    return {"chunk_index": chunk, "file_index": number}


def _place(prefix: str, file: int) -> dict[str, int]:
    return {f"{prefix}{name}": number for name, number in _numbers(file).items()}


def _of_video(path: Path, facts: EpisodeFacts) -> Iterator[np.ndarray]:
    """Yield the images (H, W, 3) of an episode of a video, whose bytes are checked."""
    from mobile_vla.lerobot.video import Video  # PyAV, which other datasets need not have

    assert facts.video is not None
    actions = np.array(facts.actions, dtype=np.float32)
    try:
        with Video(path) as video:
            yield from video.frames(facts.video.times, facts.video.tolerance, gaps=True)
            if video.identity(actions, facts.instruction) != facts.raw:
                found = "its bytes are not those that were read"
                raise UserError(f"{path}, {facts.inside}: {found}; {AS_INGESTED}")
    except Rejected as rejected:
        raise UserError(f"{path}, {facts.inside}: {rejected}; {AS_INGESTED}") from None


def _ignore(place: str) -> None:
    """Announce nothing: these files were read to their ends before."""

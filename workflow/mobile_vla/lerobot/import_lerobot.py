"""The stage ``import_lerobot``: write an episode of a LeRobotDataset v3 as a raw episode."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mobile_vla.config.lerobot import ImportSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest.collector import write_episode
from mobile_vla.ingest.video import VIDEO_CODEC
from mobile_vla.layout import RawFiles
from mobile_vla.lerobot.result import ACTION
from mobile_vla.lerobot.video import Video
from mobile_vla.result import FileDigest


def import_lerobot(
    settings: ImportSettings, outputs: RawFiles, *, data: Path, video: Path | None = None
) -> None:
    """Write one episode of a LeRobotDataset in the format of recorded ones.

    Args:
        data: the Parquet file with the episode's rows.
        video: the file with its images, where they are stored as video.

    Raises:
        UserError: a file cannot be read, lacks frames of the episode, or holds something else.
    """
    place = f"{data}, episode {settings.index}"
    rows = _rows(settings, data, place)
    stored = np.array(rows.column(ACTION).to_pylist(), dtype=np.float32)  # (T, A)
    actions = np.zeros((settings.frames, len(settings.columns)), dtype=np.float32)  # (T, 3)
    for column, source in enumerate(settings.columns):
        if source is not None:
            actions[:, column] = stored[:, source]
    with _pictures(settings, rows, place, video) as (images, attributes):
        first = next(images)
        write_episode(
            outputs.raw,
            _of_one_size(first, images, settings.every, place),
            actions[:: settings.every],
            size=first.shape[:2],
            event_types=settings.event_types,
            instruction=settings.instruction,
            attributes=settings.attributes | attributes,
        )
    FileDigest.of(outputs.raw).write(outputs.digest)


def _rows(settings: ImportSettings, data: Path, place: str) -> pa.Table:
    """Return an episode's rows in the order of its frames."""
    columns = [ACTION, "frame_index", settings.camera if settings.video is None else "timestamp"]
    filters = [("episode_index", "==", settings.index)]
    try:
        missing = {*columns, "episode_index"} - set(pq.read_schema(data).names)
        if missing:
            raise KeyError(f"no column {', '.join(sorted(missing))}")
        rows = pq.read_table(data, columns=columns, filters=filters, partitioning=None)
        rows = rows.sort_by("frame_index")
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(
            f"{place}: cannot be read ({' '.join(str(error).split())}); copy the dataset again"
        ) from None
    frames = rows.column("frame_index").to_pylist()
    if frames != list(range(settings.frames)):
        raise UserError(
            f"{place}: found {len(frames)} rows, expected frames 0 to {settings.frames - 1}, each "
            "once; copy the dataset again"
        )
    return rows


@contextmanager
def _pictures(
    settings: ImportSettings, rows: pa.Table, place: str, video: Path | None
) -> Iterator[tuple[Iterator[np.ndarray], dict[str, str]]]:
    """Give an episode's images (H, W, 3) uint8, RGB, and what the raw file says of them."""
    span = settings.video
    if span is None:
        column = rows.column(settings.camera)
        kept = range(0, len(column), settings.every)
        yield (_unpacked(column[row], f"{place}, frame {row}") for row in kept), {}
        return
    assert video is not None
    times = [span.start + time for time in rows.column("timestamp").to_pylist()]  # seconds
    with Video(video, f"{video}, episode {settings.index}") as opened:
        images = opened.frames(times, 0.5 / span.fps, settings.every)
        yield images, {VIDEO_CODEC: opened.codec}


def _of_one_size(
    first: np.ndarray, others: Iterator[np.ndarray], every: int, place: str
) -> Iterator[np.ndarray]:
    yield first
    for frame, image in enumerate(others, start=1):
        if image.shape != first.shape:
            (height, width, _), (rows, columns, _) = image.shape, first.shape
            raise UserError(
                f"{place}, frame {frame * every}: found {width}×{height} pixels, expected "
                f"{columns}×{rows} as in frame 0"
            )
        yield image


def _unpacked(stored: pa.Scalar, place: str) -> np.ndarray:
    """Return the image (H, W, 3) uint8, RGB, of a cell of the Parquet file."""
    cell = stored.as_py()
    data = cell.get("bytes") if isinstance(cell, dict) else None
    if data is None:
        raise UserError(
            f"{place}: found no bytes of an image, expected them in the Parquet file; save the "
            "dataset with its images embedded"
        )
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode != "RGB":
                raise UserError(
                    f"{place}: found an image in {picture.mode!r}, expected RGB colours"
                )
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{place}: damaged image ({error}); copy the dataset again") from None

"""The command ``import_lerobot``: write an episode of images in Parquet files as a raw episode."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from mobile_vla.config.lerobot import ImportSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest.collector import write_episode
from mobile_vla.layout import RawFiles
from mobile_vla.lerobot.rows import actions_of, read_rows
from mobile_vla.result import FileDigest
from mobile_vla.serving.orientation import upright


def import_lerobot(settings: ImportSettings, outputs: RawFiles, *, data: Path) -> None:
    """Write one episode of a LeRobotDataset in the format of recorded ones.

    Args:
        data: the Parquet file with the episode's rows.

    Raises:
        UserError: a file cannot be read, lacks frames of the episode, or holds something else.
    """
    place = f"{data}, episode {settings.index}"
    rows = read_rows(data, settings.index, settings.frames, settings.camera)
    column = rows.column(settings.camera)
    kept = range(0, len(column), settings.every)
    images = (_unpacked(column[row], f"{place}, frame {row}") for row in kept)
    first = next(images)
    write_episode(
        outputs.raw,
        _of_one_size(first, images, settings.every, place),
        actions_of(rows, settings.columns, settings.every),
        size=first.shape[:2],
        event_types=settings.event_types,
        instruction=settings.instruction,
        attributes=settings.attributes,
    )
    FileDigest.of(outputs.raw).write(outputs.digest)


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
    if not isinstance(data, bytes):
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
            return np.asarray(upright(picture))  # as LeRobot's own reader does
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{place}: damaged image ({error}); copy the dataset again") from None

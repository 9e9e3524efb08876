"""The stage ``import_lerobot``: write an episode of a LeRobotDataset v3 as a raw episode."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mobile_vla.config.lerobot import ImportSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest.collector import write_episode
from mobile_vla.layout import RawFiles
from mobile_vla.lerobot.result import ACTION
from mobile_vla.result import FileDigest


def import_lerobot(settings: ImportSettings, outputs: RawFiles, *, data: Path) -> None:
    """Write one episode of a LeRobotDataset in the format of recorded ones.

    Raises:
        UserError: the Parquet file cannot be read, lacks rows of the episode, or holds something
            else.
    """
    place = f"{data}, episode {settings.index}"
    try:
        if "episode_index" not in pq.read_schema(data).names:
            raise KeyError("no column episode_index")
        columns = [settings.camera, ACTION, "frame_index"]
        filters = [("episode_index", "==", settings.index)]
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
    stored = np.array(rows.column(ACTION).to_pylist(), dtype=np.float32)  # (T, A)
    actions = np.zeros((len(frames), len(settings.columns)), dtype=np.float32)  # (T, 3)
    for column, source in enumerate(settings.columns):
        if source is not None:
            actions[:, column] = stored[:, source]
    images = _Images(rows.column(settings.camera), place)
    write_episode(
        outputs.raw,
        images,
        actions,
        size=images.size,
        event_types=settings.event_types,
        instruction=settings.instruction,
        attributes=settings.attributes,
    )
    FileDigest.of(outputs.raw).write(outputs.digest)


class _Images:
    """An episode's images, unpacked one at a time."""

    def __init__(self, column: pa.ChunkedArray, place: str):
        self.column, self.place = column, place
        self.size = self._unpacked(0).shape[:2]

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in range(len(self.column)):
            image = self._unpacked(frame)
            if image.shape[:2] != self.size:
                (height, width), (first, second) = image.shape[:2], self.size
                raise UserError(
                    f"{self.place}, frame {frame}: found {width}×{height} pixels, expected "
                    f"{second}×{first} as in frame 0"
                )
            yield image

    def _unpacked(self, frame: int) -> np.ndarray:
        """Return a frame's image (H, W, 3) uint8, RGB."""
        stored = self.column[frame].as_py()
        data = stored.get("bytes") if isinstance(stored, dict) else None
        if data is None:
            raise UserError(
                f"{self.place}, frame {frame}: found no bytes of an image, expected them in the "
                "Parquet file; save the dataset with its images embedded"
            )
        try:
            with Image.open(io.BytesIO(data)) as picture:
                if picture.mode != "RGB":
                    raise UserError(
                        f"{self.place}, frame {frame}: found an image in {picture.mode!r}, "
                        "expected RGB colours"
                    )
                return np.asarray(picture)
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(
                f"{self.place}, frame {frame}: damaged image ({error}); copy the dataset again"
            ) from None

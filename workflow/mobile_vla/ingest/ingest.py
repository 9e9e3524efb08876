"""Ingest: one raw file becomes frames and facts, in one pass."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.conventions import FRAME_SHAPE, FRAME_SIZE
from mobile_vla.files import atomic_path, describe, write_json
from mobile_vla.ingest.defects import Defect, Rejected
from mobile_vla.ingest.episode import RawEpisode, read_episode
from mobile_vla.ingest.images import image_blocks
from mobile_vla.ingest.isolation import Tell, isolated
from mobile_vla.ingest.rawfile import Fingerprint, fingerprint, open_raw
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.layout import EpisodeFiles

LEVELS = np.arange(256)
STRONG = 64  # of 255: by how much red and blue differ in a clearly coloured pixel


def ingest(settings: IngestSettings, outputs: EpisodeFiles, *, raw: Path) -> None:
    """Read an episode once; write its frames and its facts.

    A file that breaks the contract is no error here: its defects become facts, so that the
    problems of all episodes can be reported together.

    Args:
        settings: dataset, episode, and how images become frames.
        outputs: the files to write.
        raw: the HDF5 file.
    """
    found = Fingerprint(None, 0)
    content: dict[str, Any] = {}
    defects: list[Defect] = []
    with atomic_path(outputs.frames) as temporary:
        try:
            found = fingerprint(raw)
            content = isolated(partial(_read, raw, settings.images, temporary))
        except Rejected as rejected:
            defects = rejected.defects
            content = _nothing()
            np.save(temporary, np.zeros((0, *FRAME_SHAPE), dtype=np.uint8))
    write_json(
        outputs.facts,
        {
            "episode": settings.episode,
            "file": str(raw),
            "sha256": found.sha256,
            "size": found.size,
            # The file's own name: that of an episode in a subfolder begins with the folder's.
            "scenario": parse_scenario(raw.stem),
            "group": content.pop("group") or settings.episode,
            "frames": len(content["actions"]),
            "frame_file": describe(outputs.frames),
            **content,
            "errors": [defect.record() for defect in defects],
        },
    )


def _read(raw: Path, images: Images, path: Path, tell: Tell) -> dict[str, Any]:
    """Write a raw file's frames to ``path`` and return the facts."""
    tell("file")
    with open_raw(raw) as file:
        return _convert(read_episode(file, tell), images, path, tell)


def _nothing() -> dict[str, Any]:
    """Return the facts of a rejected episode."""
    return {
        "group": None,
        "raw_shape": None,
        "actions": [],
        "event_types": None,
        "instruction": None,
        "attributes": {},
        "image_statistics": {
            "mean": None,
            "frame_mean": [],
            "frame_std": [],
            "max": None,
            "strong": None,
            "repeats": [],
        },
    }


def _convert(episode: RawEpisode, images: Images, path: Path, tell: Tell) -> dict[str, Any]:
    length = len(episode.actions)
    channel_mean = np.zeros((length, 3))
    frame_std = np.zeros(length)
    strong = np.zeros((length, 2))
    largest = 0
    repeats: list[int] = []
    previous: np.ndarray | None = None
    # Written frame by frame: the pages of a memory map would count as memory of this job.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, _header(length))
        for first, block in image_blocks(episode.file, episode.place, tell):
            for index, image in enumerate(block, start=first):
                frame = to_frame(image, images)  # (224, 224, 3)
                file.write(frame.data)
                channel_mean[index], frame_std[index], top = _statistics(frame)
                strong[index] = strong_colours(frame)
                largest = max(largest, top)
                if previous is not None and np.array_equal(image, previous):
                    repeats.append(index)
                previous = image
            previous = block[-1].copy()  # a view would keep the whole block in memory
            del block, image
    return {
        "group": episode.group,
        "raw_shape": list(episode.shape),
        "actions": episode.actions.tolist(),
        "event_types": episode.event_types,
        "instruction": episode.instruction,
        "attributes": episode.attributes,
        "image_statistics": {
            "mean": _rounded(channel_mean.mean(axis=0)),
            "frame_mean": _rounded(channel_mean.mean(axis=1)),
            "frame_std": _rounded(frame_std),
            "max": largest,
            "strong": dict(zip(("red", "blue"), _rounded(strong.mean(axis=0), 5), strict=True)),
            "repeats": repeats,
        },
    }


def _header(length: int) -> dict[str, Any]:
    """Return what an ``.npy`` file says of its frames."""
    return {"descr": "|u1", "fortran_order": False, "shape": (length, *FRAME_SHAPE)}


def _statistics(frame: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Return each channel's mean, (3,), the standard deviation of all values, and the largest."""
    # From histograms: exact whole numbers, in a tenth of the time of numpy's own mean.
    counts = np.array(Image.fromarray(frame).histogram()).reshape(3, 256)
    sums, squares = counts @ LEVELS, counts @ LEVELS**2  # (3,)
    mean = sums.sum() / frame.size
    std = math.sqrt(max(squares.sum() / frame.size - mean**2, 0.0))
    return sums * 3 / frame.size, std, int(np.flatnonzero(counts.any(axis=0))[-1])


def strong_colours(frame: np.ndarray) -> tuple[float, float]:
    """Return the shares of a frame's lower half that are clearly red and clearly blue.

    A pixel is so where one of the two channels exceeds the other by more than a quarter of the
    range. The upper half is left out because the sky is there.

    Args:
        frame: (224, 224, 3) uint8, RGB.
    """
    lower = Image.fromarray(frame[FRAME_SIZE // 2 :])
    red, _, blue = lower.split()
    count = lower.width * lower.height
    more_red, more_blue = (
        sum(ImageChops.subtract(one, other).histogram()[STRONG + 1 :]) / count
        for one, other in ((red, blue), (blue, red))
    )
    return more_red, more_blue


def _rounded(values: np.ndarray, digits: int = 3) -> list[float]:
    """Keep what matters of a statistic, and the JSON short."""
    return [round(float(value), digits) for value in values]

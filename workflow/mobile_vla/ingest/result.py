"""The form of ``EPISODE.json``: the facts of one raw episode."""

from __future__ import annotations

import base64
import math
from pathlib import PurePath
from typing import Literal

import numpy as np
from pydantic import Field, JsonValue

from mobile_vla.result import FileDigest, Result
from mobile_vla.sentence import Sentence

THUMBNAIL = 8  # pixels, both ways
THUMBNAILS = 32  # of an episode, at most
VIDEO_CODEC = "video_codec"  # attribute: format of the video that the images come from, as `av1`

Scenario = dict[str, str | None]
"""obstacles, layout, side, style and distance; None where the file's name does not say."""


def thumbnail_step(length: int) -> int:
    """Return s: an episode of T frames has thumbnails of its frames 0, s, 2 s ..."""
    return max(math.ceil(length / THUMBNAILS), 1)


class Defect(Result):
    """One breach of the episode contract."""

    code: str
    """Short stable name, such as ``truncated``; ``config/audit.py`` lists all."""
    place: str
    """Where in the file, such as ``images, frame 12``."""
    found: Sentence
    """What stands there."""
    expected: Sentence
    """What should stand there."""
    remedy: Sentence
    """What to do about it."""


class StrongColors(Result):
    """Shares of the pixels in the frames' lower halves that are clearly coloured."""

    red: float
    """Share of clearly red pixels, in [0, 1]."""
    blue: float
    """Share of clearly blue pixels, in [0, 1]."""


class ImageStatistics(Result):
    """Statistics of an episode's frames, whose values are 0 to 255."""

    mean: list[float] | None
    """(3,) mean of red, green and blue; None for a rejected episode."""
    frame_mean: list[float]
    """(T,) mean of each frame."""
    frame_std: list[float]
    """(T,) standard deviation of each frame's values."""
    max: int | None
    """Largest value; None for a rejected episode."""
    strong: StrongColors | None
    """Clearly coloured pixels; None for a rejected episode."""
    repeats: list[int]
    """Indices of the frames whose raw image equals the one before."""
    sharpness: list[float]
    """(T,) variance of the Laplacian of each frame's grey levels: low where it is blurred."""
    dark: list[float]
    """(T,) share of each frame's pixels with a grey level of 5 or less."""
    bright: list[float]
    """(T,) share of each frame's pixels with a grey level of 250 or more."""
    pan: list[float]
    """(T,) shift to the right since the frame before, as an estimated share of the width."""
    zoom: list[float]
    """(T,) growth from the centre since the frame before, as an estimated share of the size."""
    change: list[float]
    """(T,) mean absolute difference to the frame before, at 16×16 pixels; 0 at the first."""
    thumbnails: str
    """(K, 8, 8) uint8 grey levels of up to 32 frames, every so many, as base64."""

    def small_pictures(self) -> np.ndarray:
        """Return the thumbnails, (K, 8, 8) uint8: frames 0, s, 2 s ... (:func:`thumbnail_step`)."""
        content = base64.b64decode(self.thumbnails)
        return np.frombuffer(content, dtype=np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL)


class VideoFrames(Result):
    """Which frames of a video file are an episode's."""

    times: list[float]
    """(T,) seconds in the file."""
    tolerance: float
    """How many seconds a frame's own time stamp may be away from that."""


class EpisodeFacts(Result):
    """All that is known of an episode but its frames; T = 0 where it was rejected."""

    episode: str
    """Name of the episode."""
    file: str
    """Path of the raw file; of a recorded one below the dataset's folder, wherever that lies."""
    sha256: str | None
    """SHA-256 of the raw file, or of what is read of its group; None where there is nothing."""
    size: int
    """Bytes of the same."""
    inside: str = Field(default="", exclude_if=lambda inside: not inside)
    """Path of the episode's group in a raw file of several episodes; not in the file elsewhere."""
    scenario: Scenario
    """What the raw file's name says, or the table of scenarios."""
    group: str
    """The attribute ``scene``, or the episode's name: a group stays on one side of the split."""
    frames: int
    """T, the number of frames and of actions."""
    frame_file: FileDigest
    """Identity of ``EPISODE.npy``."""
    resize: Literal["squeeze", "crop"] = Field(
        default="squeeze", exclude_if=lambda resize: resize == "squeeze"
    )
    """How the frames were resized, ``images.resize``; not in the file where it is "squeeze"."""
    image_place: str = ""
    """Path in the raw file of the images; empty for a rejected episode."""
    raw_shape: tuple[int, int, int] | None
    """(H, W, 3) of the raw images; None for a rejected episode."""
    video: VideoFrames | None = Field(default=None, exclude_if=lambda video: video is None)
    """Where its images stand in a raw file that is a video; not in the file elsewhere."""
    actions: list[list[float]]
    """(T, 3) linear_x, linear_y and angular_z in command units."""
    event_types: list[str] | None
    """(T,) the collector's events; None where the file has none."""
    instruction: str | None
    """The file's ``language_instruction``, or the text that ``fields`` names."""
    state: list[list[float]] | None = Field(default=None, exclude_if=lambda state: state is None)
    """(T, S) the robot's own state, where ``fields`` names it; not in the file elsewhere."""
    attributes: dict[str, JsonValue]
    """The attributes of the file, or of the episode's group."""
    image_statistics: ImageStatistics
    """Statistics of the frames."""
    errors: list[Defect]
    """What makes the episode unusable; empty for one that can be used."""
    notes: list[Defect] = Field(default=[], exclude_if=lambda notes: not notes)
    """What ingest read all the same, or did without; not in the file where there is nothing."""

    @property
    def stem(self) -> str:
        """Name that was recorded: that of the group, or of the file without its suffix."""
        return PurePath(self.inside).name or PurePath(self.file).stem

    @property
    def place(self) -> str:
        """Path of the raw file and, where it holds several episodes, of the group in it."""
        return f"{self.file}/{self.inside}" if self.inside else self.file

    @property
    def raw(self) -> FileDigest:
        """Identity of the raw file, or of its group, of an episode that can be used."""
        assert self.sha256 is not None
        return FileDigest(sha256=self.sha256, size=self.size)

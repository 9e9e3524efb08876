"""The command ``import_videos``: decode episodes of a video file to frames and facts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from mobile_vla.config.lerobot import VideoEpisode, VideoSettings
from mobile_vla.files import atomic_path
from mobile_vla.ingest.image_statistics import NO_STATISTICS
from mobile_vla.ingest.ingest import group_of, write_frames, write_no_frames
from mobile_vla.ingest.machine import named
from mobile_vla.ingest.numbers import check_finite
from mobile_vla.ingest.rawfile import Rejected, rejection
from mobile_vla.ingest.result import VIDEO_CODEC, Defect, EpisodeFacts, VideoFrames
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.lerobot.result import ACTION
from mobile_vla.lerobot.rows import actions_of, numbers_of, read_rows
from mobile_vla.lerobot.video import AGAIN, Video
from mobile_vla.result import FileDigest
from mobile_vla.sentence import say, verbatim

log = logging.getLogger(__name__)

UNUSABLE = np.zeros((0, 3), dtype=np.float32)


def import_videos(
    settings: VideoSettings,
    *,
    facts: list[Path],
    frames: list[Path],
    data: list[Path],
    video: Path,
) -> None:
    """Decode episodes of a video file; write the frames and facts of each, as ``ingest`` does.

    No image is stored in its full size: what a video holds can be decoded again. What is wrong with
    an episode's video becomes a fact, as with recorded ones, and the others are imported.

    Args:
        facts: the file for each episode's facts.
        frames: that for its frames.
        data: the Parquet file with its rows.
        video: the file with the images of all.

    Raises:
        UserError: a Parquet file cannot be read or lacks rows, the machine could not read the
            video, or write the frames.
    """
    for episode, own, pictures, table in zip(settings.episodes, facts, frames, data, strict=True):
        rows = read_rows(table, episode.index, episode.frames, "timestamp")
        with named(video):
            _import(settings, episode, rows, video, pictures).write(own)


def _import(
    settings: VideoSettings, episode: VideoEpisode, rows: pa.Table, video: Path, frames: Path
) -> EpisodeFacts:
    """Write an episode's frames, and return its facts."""
    every, tolerance = settings.every, 0.5 / settings.fps
    own = numbers_of(rows, "timestamp")  # seconds
    times = [episode.start + time for time in own]
    actions = actions_of(rows, settings.columns, every)  # (T, 3)
    identity: FileDigest | None = None
    shape: tuple[int, int, int] | None = None
    statistics, attributes = NO_STATISTICS, episode.attributes
    defects: list[Defect] = []
    with atomic_path(frames) as temporary:
        try:
            check_finite(actions, ACTION)
            _check_times(own, settings.fps)
            with Video(video) as opened:
                images = opened.frames(times, tolerance, every)
                first = next(images)
                shape = first.shape
                blocks = _blocks(first, images, every)
                statistics = write_frames(blocks, len(actions), settings.images, temporary)
                identity = opened.identity(actions, episode.instruction)
                attributes = attributes | {VIDEO_CODEC: opened.codec}
        except Rejected as rejected:
            defects, shape, actions = rejected.defects, None, UNUSABLE
            statistics, attributes = NO_STATISTICS, {}
            write_no_frames(temporary)
    used = not defects
    return EpisodeFacts(
        episode=episode.episode,
        file=settings.file,
        sha256=None if identity is None else identity.sha256,
        size=0 if identity is None else identity.size,
        inside=episode.episode,
        scenario=parse_scenario(episode.episode),
        group=group_of(attributes, episode.episode),
        frames=len(actions),
        frame_file=FileDigest.of(frames),
        resize=settings.images.resize,
        raw_shape=shape,
        video=VideoFrames(times=times[::every], tolerance=tolerance) if used else None,
        actions=actions.tolist(),
        event_types=None if episode.event_types is None or defects else [*episode.event_types],
        instruction=episode.instruction if used else None,
        attributes=attributes,
        image_statistics=statistics,
        errors=defects,
    )


def _check_times(times: list[float], fps: float) -> None:
    """Refuse times that are not those of frames at the declared rate.

    A frame is looked for within half a frame of its time: with too low a rate that could be
    another frame.

    Raises:
        Rejected: one is half a frame or more away from where it should be.
    """
    for frame, time in enumerate(times):
        if not abs((time - times[0]) * fps - frame) < 0.5:
            found = verbatim(f"{time - times[0]:.4f} s")
            expected = say("{time:.4f} s, at {fps:g} frames a second", time=frame / fps, fps=fps)
            raise rejection("unequal_length", f"timestamp of frame {frame}", found, expected, AGAIN)


def _blocks(
    first: np.ndarray, others: Iterator[np.ndarray], every: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield images one by one, each with its number."""
    yield 0, first[np.newaxis]
    for number, image in enumerate(others, start=1):
        if image.shape != first.shape:
            found = say("{size} pixels", size=_size(image))
            expected = say("{size} pixels, as in frame 0", size=_size(first))
            raise rejection("wrong_shape", f"frame {number * every}", found, expected, AGAIN)
        yield number, image[np.newaxis]


def _size(image: np.ndarray) -> str:
    return "×".join(map(str, image.shape[:2]))

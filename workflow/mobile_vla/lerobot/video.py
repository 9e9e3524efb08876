"""Decode the frames of one episode from a video file that may hold many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from mobile_vla.errors import UserError

AGAIN = "copy the dataset again, or remove the episode with LeRobot's own tools"


class Video:
    """A video file, open for reading; a context manager that closes it.

    Args:
        path: the file, such as mp4 with AV1, H.264 or HEVC.
        place: how messages name file and episode.

    Raises:
        UserError: it cannot be opened, or holds no video.
    """

    def __init__(self, path: Path, place: str):
        self.place = place
        try:
            # said to be a file, or libav would take a colon in its name for a protocol
            self._container: InputContainer = av.open(f"file:{path}")
        except (OSError, ValueError) as error:  # libav's own errors are among them
            self._refuse(f"a file that cannot be opened ({_words(error)})", "a video file")
        if not self._container.streams.video:
            self._container.close()
            self._refuse("no video in the file", "one")
        self._stream: VideoStream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1  # a job has one core
        self.codec = self._stream.codec_context.codec.canonical_name
        """Name of the video's format, such as ``av1``."""

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(
        self, times: Sequence[float], tolerance: float, every: int = 1
    ) -> Iterator[np.ndarray]:
        """Yield frames (H, W, 3) uint8, RGB: what PyAV makes of them as ``rgb24``.

        Decoded are the frames at ``times``, and those before from the last keyframe on; what the
        rest of the file holds costs nothing.

        Args:
            times: T time stamps in the file, in seconds, ascending: one for each of its frames
                from the first to the last.
            tolerance: how far a frame's own time stamp may be from that, in seconds.
            every: yield frames 0, ``every``, 2 · ``every`` and so on.

        Raises:
            UserError: a frame cannot be decoded, is missing or is there although ``times`` lists
                none.
        """
        reformatter = VideoReformatter()
        frame = 0
        try:
            self._to_keyframe_before(times[0] + tolerance)
            for decoded in self._container.decode(self._stream):
                if decoded.time is None or (frame == 0 and decoded.time < times[0] - tolerance):
                    continue
                if abs(decoded.time - times[frame]) > tolerance:
                    self._refuse_time(
                        frame, f"a frame at {decoded.time:.4f} s", times[frame], tolerance
                    )
                if decoded.is_corrupt:
                    self._refuse("damaged data", "a frame", frame)
                if frame % every == 0:
                    yield reformatter.reformat(decoded, format="rgb24").to_ndarray()
                frame += 1
                if frame == len(times):
                    return
        except av.FFmpegError as error:
            self._refuse(f"data that cannot be decoded ({_words(error)})", "a frame", frame)
        self._refuse_time(frame, "the end of the video", times[frame], tolerance)

    def _to_keyframe_before(self, time: float) -> None:
        """Go to the last keyframe that is shown at or before a time in seconds.

        An mp4 file is searched by the order of decoding. A keyframe may be shown after frames that
        follow it there and need the frames before it, so it is looked at before it is taken.
        """
        assert self._stream.time_base is not None
        at = wanted = int(time / self._stream.time_base)
        before = None
        while True:
            self._container.seek(at, stream=self._stream)
            packet = next(self._container.demux(self._stream))
            shown, decoded = packet.pts, packet.dts
            if shown is None or decoded is None or shown <= wanted or decoded == before:
                break
            before, at = decoded, decoded - 1
        self._container.seek(at, stream=self._stream)

    def _refuse_time(self, frame: int, found: str, expected: float, tolerance: float) -> NoReturn:
        self._refuse(
            found,
            f"a frame at {expected:.4f} s ± {tolerance:.4f} s, as the tables say",
            frame,
        )

    def _refuse(self, found: str, expected: str, frame: int | None = None) -> NoReturn:
        place = self.place if frame is None else f"{self.place}, frame {frame}"
        raise UserError(f"{place}: found {found}; expected {expected}; {AGAIN}") from None


def _words(error: Exception) -> str:
    return " ".join(str(error).split())

"""Decode the frames of one episode from a video file that may hold many."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from mobile_vla.ingest.machine import blame
from mobile_vla.ingest.rawfile import Rejected, one_line, rejection
from mobile_vla.result import FileDigest
from mobile_vla.sentence import Sentence, say, verbatim

AGAIN = say("copy the dataset again, or remove the episode with LeRobot's own tools")
A_VIDEO, A_FRAME = say("a video file"), say("a frame")


class Video:
    """A video file, open for reading; a context manager that closes it.

    Args:
        path: the file, such as mp4 with AV1, H.264 or HEVC.

    Raises:
        Rejected: it cannot be opened, or holds no video.
        MachineError: the machine could not read it.
    """

    def __init__(self, path: Path):
        try:
            # said to be a file, or libav would take a colon in its name for a protocol
            self._container: InputContainer = av.open(f"file:{path}")
        except (OSError, ValueError) as error:  # libav's own errors are among them
            raise _not_opened(error) from None
        if not self._container.streams.video:
            self._container.close()
            raise rejection("unreadable", "file", say("no video in the file"), A_VIDEO, AGAIN)
        self._stream: VideoStream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1  # a job has one core
        self.codec = self._stream.codec_context.codec.canonical_name
        """Name of the video's format, such as ``av1``."""
        self.digest = hashlib.sha256()
        """Over the compressed bytes of the frames from the first that is yielded to the last."""
        self.size = 0
        """How many bytes these are."""

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(
        self, times: Sequence[float], tolerance: float, every: int = 1, *, gaps: bool = False
    ) -> Iterator[np.ndarray]:
        """Yield frames (H, W, 3) uint8, RGB: what PyAV makes of them as ``rgb24``.

        Decoded are the frames at ``times``, and those before from the last keyframe on; what the
        rest of the file holds costs nothing.

        Args:
            times: T time stamps in the file, in seconds, ascending: one for each of its frames
                from the first to the last.
            tolerance: how far a frame's own time stamp may be from that, in seconds.
            every: yield frames 0, ``every``, 2 · ``every`` and so on.
            gaps: ``times`` may leave out frames of the file, which are not looked at.

        Raises:
            Rejected: a frame cannot be decoded, is missing or is there although ``times`` lists
                none.
            MachineError: the machine could not read the file.
        """
        reformatter = VideoReformatter()
        frame = 0
        try:
            for decoded in self._decoded(times[0], times[::every][-1], tolerance):
                early = decoded.time < times[frame] - tolerance
                if early and (frame == 0 or gaps):
                    continue
                place = f"frame {frame}"
                if early or decoded.time > times[frame] + tolerance:
                    found = say("a frame at {time} s", time=f"{decoded.time:.4f}")
                    raise _other_time(place, found, times[frame], tolerance)
                if decoded.is_corrupt:
                    raise rejection("damaged_chunk", place, say("damaged data"), A_FRAME, AGAIN)
                if frame % every == 0:
                    yield reformatter.reformat(decoded, format="rgb24").to_ndarray()
                frame += 1
                if frame == len(times):
                    return
        except av.FFmpegError as error:
            _blame(error, f"frame {frame}")
            found = say("data that cannot be decoded ({error})", error=_words(error))
            raise rejection("damaged_chunk", f"frame {frame}", found, A_FRAME, AGAIN) from None
        raise _other_time(f"frame {frame}", say("the end of the video"), times[frame], tolerance)

    def _decoded(self, first: float, last: float, tolerance: float) -> Iterator[VideoFrame]:
        """Yield the frames from the keyframe before a time on; digest those up to another."""
        self._to_keyframe_before(first + tolerance)
        for packet in self._container.demux(self._stream):
            at = None if packet.pts is None else packet.pts * packet.time_base
            if at is not None and first - tolerance <= at <= last + tolerance:
                self.digest.update(packet)
                self.size += packet.size
            yield from (one for one in packet.decode() if one.time is not None)

    def identity(self, actions: np.ndarray, instruction: str | None) -> FileDigest:
        """Return the identity of an episode whose frames were all yielded, by what was read of it.

        Args:
            actions: (T, 3) float32.
            instruction: its text, if it has one.
        """
        digest = self.digest.copy()
        digest.update(actions.tobytes() + (instruction or "").encode())
        return FileDigest(sha256=digest.hexdigest(), size=self.size)

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


def _not_opened(error: Exception) -> Rejected:
    if isinstance(error, FileNotFoundError):
        return rejection("missing", "file", say("no such file"), A_VIDEO, AGAIN)
    if isinstance(error, PermissionError):
        remedy = say("give yourself the right to read it")
        found = verbatim(one_line(error))
        return rejection("permission_denied", "file", found, A_VIDEO, remedy)
    _blame(error, "file")
    found = say("a file that cannot be opened ({error})", error=_words(error))
    return rejection("unreadable", "file", found, A_VIDEO, AGAIN)


def _words(error: Exception) -> str:
    """Return what went wrong; libav's texts begin with a number of its own."""
    said = error.strerror if isinstance(error, OSError) else None
    return said or one_line(error)


def _blame(error: Exception, place: str) -> None:
    """Return if an error comes from the bytes of the file; libav has numbers of its own for that.

    Raises:
        MachineError: it comes from the machine.
    """
    if isinstance(error, OSError) and error.errno in errno.errorcode:
        blame(error, place)


def _other_time(place: str, found: Sentence, expected: float, tolerance: float) -> Rejected:
    said = say(
        "a frame at {time} s ± {tolerance} s, as the tables say",
        time=f"{expected:.4f}",
        tolerance=f"{tolerance:.4f}",
    )
    return rejection("unequal_length", place, found, said, AGAIN)

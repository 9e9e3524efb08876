"""The drives of robots: who drives, which step is due, and what was answered last."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator

import numpy as np

from mobile_vla.serving.guard import Guarded
from mobile_vla.serving.web import RequestError

ALIVE_SECONDS = 10.0
"""So long after its last request a drive is not begun anew by somebody who does not know its id."""


@dataclass(frozen=True)
class Answered:
    """A step that was answered: what a client gets again whose answer was lost."""

    step: int
    digest: bytes
    """Of the picture and how it was sent."""
    taken: float
    """When the picture was taken, in the clock's seconds."""
    guarded: Guarded
    """The commands, within the guard's limits."""


@dataclass
class Drive:
    """A robot's drive, from a reset to the next."""

    session: str
    """The robot's name."""
    prompt: str
    state: Any
    """What the policy keeps of what it saw."""
    period: float
    """Seconds between two pictures."""
    used: float
    """Time of the last request, in the clock's seconds."""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    next_step: int = 0
    busy: bool = False
    last: Answered | None = None
    command: np.ndarray | None = None
    """(A,) the first command of the last answer, which the robot carries out."""
    clamped: bool = False
    """Whether a command of it was."""
    policy: Any = None
    """What drives."""
    ticket: str | None = None
    """Of a trial's drive."""


class Drives:
    """The drives by their ids, at most so many. All calls come from one thread.

    After ``idle_seconds`` without a request a drive makes room for another robot's.
    """

    def __init__(
        self,
        most: int,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.most, self.idle_seconds, self.clock = most, idle_seconds, clock
        self.of: dict[str, Drive] = {}

    def check_free(self, session: str, drive: str | None) -> Drive | None:
        """Return the drive that a new one of a robot would end, if there is one.

        Raises:
            RequestError: it is under way and ``drive`` is not its id; or all places are taken.
        """
        before = next((one for one in self.of.values() if one.session == session), None)
        if before is not None:
            if before.busy:
                raise _busy(before)
            if drive != before.id and self.clock() - before.used < ALIVE_SECONDS:
                raise RequestError(
                    409,
                    "alive",
                    f"{session!r} is driving, and the request does not know its drive: another "
                    "robot has this name, or the program began again; use another name, say the "
                    f"`drive` that /reset answered, or wait {ALIVE_SECONDS:g} s",
                    seconds=ALIVE_SECONDS,
                )
            return before
        if len(self.of) >= self.most:
            oldest = min(self.of.values(), key=lambda one: (one.busy, one.used))
            if oldest.busy or self.clock() - oldest.used < self.idle_seconds:
                raise RequestError(
                    503,
                    "too_many_sessions",
                    f"all {self.most} sessions are taken; one that is idle for "
                    f"{self.idle_seconds:g} s makes room, or start the server with more "
                    "`--sessions`",
                    sessions=self.most,
                )
            return oldest
        return None

    def begin(self, drive: Drive, before: str | None = None) -> Drive | None:
        """Begin a drive: its next frame is the first of an episode.

        Args:
            drive: the new one.
            before: id of the robot's drive that ends by it.

        Returns:
            The drive that has ended.

        Raises:
            RequestError: as :meth:`check_free`.
        """
        ended = self.check_free(drive.session, before)
        if ended is not None:
            del self.of[ended.id]
        self.of[drive.id] = drive
        return ended

    def get(self, drive: str) -> Drive:
        """Return a drive by its id.

        Raises:
            RequestError: there is none.
        """
        try:
            return self.of[drive]
        except KeyError:
            raise RequestError(
                404, "no_drive", "there is no such drive; begin one with POST /reset"
            ) from None

    def check_due(self, drive: Drive, step: int) -> None:
        """Refuse a step that is neither due nor the last one again.

        Raises:
            RequestError: another step is due, or one is under way.
        """
        if drive.busy:
            raise _busy(drive)
        if step != drive.next_step and not (drive.last and drive.last.step == step):
            raise _out_of_order(drive, step)

    def again(self, drive: Drive, step: int, digest: bytes) -> Answered | None:
        """Return what was answered to the same step with the same picture; None for a new step.

        Raises:
            RequestError: the step was answered for another picture.
        """
        if step == drive.next_step:
            return None
        if drive.last is None or drive.last.step != step or drive.last.digest != digest:
            raise _out_of_order(drive, step)
        return drive.last

    @contextmanager
    def claimed(self, drive: Drive) -> Iterator[None]:
        """Hold a drive for a step."""
        drive.busy = True
        try:
            yield
        finally:
            drive.busy = False
            drive.used = self.clock()

    def end(self, drive: Drive) -> None:
        """Forget a drive."""
        self.of.pop(drive.id, None)


def _busy(drive: Drive) -> RequestError:
    return RequestError(
        409,
        "busy",
        f"a step of {drive.session!r} is under way; wait for its answer, or use another name for "
        "each robot",
    )


def _out_of_order(drive: Drive, step: int) -> RequestError:
    return RequestError(
        409,
        "out_of_order",
        f"found step {step} of {drive.session!r}, expected {drive.next_step}, or the last one "
        "again with its own picture; go on with that number, or begin again with POST /reset",
        expected=drive.next_step,
    )

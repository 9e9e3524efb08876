"""The sessions of a server: each robot's own stream, in order and undisturbed by the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mobile_vla.model.streaming import Stream


class Refused(Exception):  # noqa: N818  (nothing went wrong here: the request is at fault)
    """A request that is not granted, in words for who sent it.

    Args:
        status: of HTTP.
        code: what programs tell refusals apart by.
        message: what was found, what was expected and what to do.
        facts: what else programs may want to know.
    """

    def __init__(self, status: int, code: str, message: str, **facts: Any):
        super().__init__(message)
        self.status, self.code, self.message, self.facts = status, code, message, facts


@dataclass
class Session:
    """A robot's drive."""

    name: str
    stream: Stream
    used: float
    """When it was last asked, in the clock's seconds."""
    next_step: int = 0
    """Number of the step that is due."""
    busy: bool = False


class Sessions:
    """The sessions by name. All calls come from the server's one event loop.

    Args:
        most: how many there may be at a time.
        idle_seconds: after so long without a request a session makes room for another.
        clock: seconds that never go back.
    """

    def __init__(self, most: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic):
        self.most, self.idle_seconds, self.clock = most, idle_seconds, clock
        self.of: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self.of)

    def begin(self, name: str, stream: Stream) -> Session:
        """Begin a drive: the session's next frame is the first of an episode.

        Raises:
            Refused: a step of the session is under way, or all places are taken.
        """
        known = self.of.get(name)
        if known is not None and known.busy:
            raise _busy(name)
        if known is None and len(self.of) >= self.most:
            self._make_room()
        self.of[name] = Session(name, stream, self.clock())
        return self.of[name]

    def _make_room(self) -> None:
        oldest = min(self.of.values(), key=lambda one: (one.busy, one.used))
        if oldest.busy or self.clock() - oldest.used < self.idle_seconds:
            raise Refused(
                503,
                "too_many_sessions",
                f"all {self.most} sessions are taken; one that is idle for "
                f"{self.idle_seconds:g} s makes room, or start the server with more `--sessions`",
                sessions=self.most,
            )
        del self.of[oldest.name]

    def end(self, name: str) -> None:
        """Forget a session whose state nobody knows any more."""
        self.of.pop(name, None)

    @contextmanager
    def claimed(self, name: str, step: int) -> Iterator[Session]:
        """Hold a session for one step; it stays where it is when the block raises.

        Args:
            name: the session.
            step: number of the step, from 0 after each reset.

        Raises:
            Refused: there is no such session, another step of it is under way, or it is not this
                step's turn.
        """
        session = self.of.get(name)
        if session is None:
            raise Refused(
                404, "no_session", f"there is no session {name!r}; begin one with POST /reset"
            )
        if session.busy:
            raise _busy(name)
        if step != session.next_step:
            raise Refused(
                409,
                "out_of_order",
                f"found step {step} of session {name!r}, expected {session.next_step}; go on with "
                "that number, or begin again with POST /reset",
                expected=session.next_step,
            )
        session.busy = True
        try:
            yield session
            session.next_step += 1
        finally:
            session.busy = False
            session.used = self.clock()


def _busy(name: str) -> Refused:
    return Refused(
        409,
        "busy",
        f"a step of session {name!r} is under way; wait for its answer, or use a session of your "
        "own for each robot",
    )

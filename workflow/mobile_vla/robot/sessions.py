"""Sessions of the server: a stream for each robot, whose steps come in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mobile_vla.model.streaming import Stream


class RequestError(Exception):
    """A request that is refused, with a message for the client.

    Args:
        status: of HTTP.
        code: name of the error, for programs.
        message: what was found, what was expected and what to do.
        facts: other values of the answer, for programs.
    """

    def __init__(self, status: int, code: str, message: str, **facts: Any):
        super().__init__(message)
        self.status, self.code, self.message, self.facts = status, code, message, facts


@dataclass
class Session:
    """The state of a robot's drive."""

    name: str
    stream: Stream
    used: float
    """Time of the last request, in the clock's seconds."""
    next_step: int = 0
    """Number of the step that is due."""
    busy: bool = False


class Sessions:
    """The sessions by name. All calls come from the server's event loop.

    Args:
        most: how many are held at a time.
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
            RequestError: a step of the session is under way, or all places are taken.
        """
        known = self.of.get(name)
        if known is not None and known.busy:
            raise _busy(name)
        if known is None and len(self.of) >= self.most:
            self._make_room()
        self.of[name] = Session(name, stream, self.clock())
        return self.of[name]

    def _make_room(self) -> None:
        oldest = min(self.of.values(), key=lambda session: (session.busy, session.used))
        if oldest.busy or self.clock() - oldest.used < self.idle_seconds:
            raise RequestError(
                503,
                "too_many_sessions",
                f"all {self.most} sessions are taken; one that is idle for "
                f"{self.idle_seconds:g} s makes room, or start the server with more `--sessions`",
                sessions=self.most,
            )
        del self.of[oldest.name]

    def end(self, name: str) -> None:
        """Forget a session whose state is not known any more."""
        self.of.pop(name, None)

    @contextmanager
    def claimed(self, name: str, step: int) -> Iterator[Session]:
        """Hold a session for one step; it stays where it is when the block raises.

        Args:
            name: the session.
            step: number of the step, from 0 after each reset.

        Raises:
            RequestError: there is no such session, another step of it is under way, or another
                step is due.
        """
        session = self.of.get(name)
        if session is None:
            raise RequestError(
                404, "no_session", f"there is no session {name!r}; begin one with POST /reset"
            )
        if session.busy:
            raise _busy(name)
        if step != session.next_step:
            raise RequestError(
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


def _busy(name: str) -> RequestError:
    return RequestError(
        409,
        "busy",
        f"a step of session {name!r} is under way; wait for its answer, or use "
        "another session for each robot",
    )

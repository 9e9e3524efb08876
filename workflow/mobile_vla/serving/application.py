"""The protocol: ``/health``, ``/reset`` and ``/step``, for policies that predict from frames."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
import threading
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Protocol, TypeVar

import numpy as np

from mobile_vla.serving.access import Access
from mobile_vla.serving.drives import Answered, Drive, Drives
from mobile_vla.serving.guard import Guard, Guarded
from mobile_vla.serving.pictures import Unusable, decode_layout, layout_of, unpack
from mobile_vla.serving.recorder import Recorder
from mobile_vla.serving.requests import RAW, ResetRequest, StepRequest
from mobile_vla.serving.trial import (
    FORM_BYTES,
    PATH,
    RefusedError,
    ServedTrial,
    TrialPage,
    admitted,
)
from mobile_vla.serving.web import Content, HttpServer, Request, RequestError

log = logging.getLogger(__name__)

UNIT = "raw command units"
RESET_BYTES = 1 << 16
DEAR_PIXELS = 1920 * 1088
"""Larger pictures wait for each other, so that those of other robots do not wait for them."""
DEAR_INTERVALS = 64
DEAR_BYTES = 1 << 20
HOW = ("kind", "width", "height", "color", "age")  # of a step request, to be recorded

T = TypeVar("T")


class ServedPolicy(Protocol):
    """What is asked of a policy. All but :meth:`frame` is called from one thread."""

    facts: dict[str, Any]
    """What ``/health`` says of it."""
    dimensions: list[str]
    """Of an action."""
    ahead: list[int]
    """Control steps from a picture to each of the chunk's C actions."""

    guard: Guard
    """What its commands must keep to."""

    def begin(self, instruction: str | None) -> tuple[str, Any]:
        """Return the prompt and the state of a new drive; ``Unusable`` for no prompt of it."""

    def frame(self, image: np.ndarray, color: str) -> np.ndarray:
        """Make a frame of an image (H, W, 3) uint8, whose colours are ``rgb`` or ``bgr``."""

    def step(self, state: Any, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A) float32, in raw command units, that the newest frame leads to."""


@dataclass(frozen=True)
class Limits:
    """Limits of what clients may use.

    Args:
        sessions: robots at a time.
        idle_seconds: after so long without a request a session makes room for another.
        max_body_mb: largest picture in 10^6 bytes.
    """

    sessions: int = 8
    idle_seconds: float = 600.0
    max_body_mb: float = 8.0

    def __post_init__(self) -> None:
        """Refuse limits that would serve nobody.

        Raises:
            ValueError: one is not above 0.
        """
        for name, value in vars(self).items():
            if not value > 0:
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{option}: found {value:g}, expected more than 0")

    @property
    def body_bytes(self) -> int:
        """Bytes of the largest picture."""
        return int(self.max_body_mb * 1e6)


class Server:
    """A policy behind HTTP.

    Args:
        policy: the policy; of a trial, what its policies have in common.
        limits: of its clients.
        prepare: what the policy's thread does first.
        recorder: keeps the drives, if they are to be kept.
        trial: says by each drive's ticket which policy drives; then no answer tells which.
    """

    def __init__(
        self,
        policy: ServedPolicy,
        limits: Limits,
        prepare: Callable[[], object] | None = None,
        recorder: Recorder | None = None,
        trial: ServedTrial | None = None,
    ):
        self.policy, self.limits, self.recorder = policy, limits, recorder
        self.drives = Drives(limits.sessions, limits.idle_seconds)
        self.outputs = {"dimensions": policy.dimensions, "unit": UNIT, "ahead": policy.ahead}
        self.trial, self.page = trial, TrialPage(trial) if trial is not None else None
        self.tried: Drive | None = None  # the trial's drive that was begun last
        self.resets = 0  # under way
        self.guarded = {"answers": 0, "clamped": 0, "stopped": 0}
        # What touches the policy runs in a single thread; others decode pictures meanwhile.
        self.model = ThreadPoolExecutor(1, "model", prepare or (lambda: None))
        self.pictures = ThreadPoolExecutor(2, "pictures")
        self.dear_pictures = ThreadPoolExecutor(1, "dear", _yield_to_others)

    def http(self, access: Access) -> HttpServer:
        """Return the HTTP server."""
        return HttpServer(self.admit, self.answer, access.check, self.limits.body_bytes)

    @property
    def pages(self) -> tuple[str, ...]:
        """Paths of pages, for :class:`Access`."""
        return () if self.page is None else (PATH,)

    def finish(self) -> None:
        """Write down the trial's drive that is under way."""
        if self.tried is not None:
            self._end(self.tried, "server_ended")

    def close(self) -> bool:
        """End the threads, and return whether they have ended, or some work goes on."""
        self.finish()
        pools = (self.model, self.pictures, self.dear_pictures)
        for pool in pools:
            pool.shutdown(wait=False)
        until = time.monotonic() + 0.2
        threads = [thread for pool in pools for thread in pool._threads]
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
            time.sleep(0.005)
        return not any(thread.is_alive() for thread in threads)

    def admit(self, request: Request) -> int:
        """Check a request by its head; return how many bytes its body may have."""
        place = (request.method, request.path)
        if place == ("GET", "/health"):
            return 0
        if place == ("POST", "/reset"):
            return RESET_BYTES
        if place == ("POST", "/step"):
            given = StepRequest.of(request.query, request.headers.get("content-type", ""))
            self.drives.check_due(self.drives.get(given.drive), given.step)
            return self.limits.body_bytes
        if self.page is not None and request.path == PATH and request.method in ("GET", "POST"):
            return FORM_BYTES if request.method == "POST" else 0
        known = {"/health": "GET", "/reset": "POST", "/step": "POST", **dict.fromkeys(self.pages)}
        raise RequestError(
            405 if request.path in known else 404,
            "no_such_request",
            f"{request.method[:20]} {request.path[:100]}: expected GET /health, POST /reset or "
            "POST /step",
        )

    async def answer(self, request: Request) -> Content:
        """Answer a whole request."""
        of: dict[str, Callable[[Request], Awaitable[Content]]] = {
            "/health": self.health,
            "/reset": self.reset,
            "/step": self.step,
            PATH: self.score,
        }
        return await of[request.path](request)

    async def health(self, request: Request) -> dict[str, Any]:
        """Describe the served policy, its inputs and its outputs."""
        # Of a trial each policy has limits of its own, which would tell it from the others.
        limits = self.policy.guard.said() if self.trial is None else {}
        return {
            "status": "ok",
            **self.policy.facts,
            "sessions": len(self.drives.of),
            "guard": {**limits, **self.guarded},
            "unrecorded": None if self.recorder is None else self.recorder.failed,
            **self.outputs,
        }

    async def reset(self, request: Request) -> dict[str, Any]:
        """Begin a robot's drive, under an instruction."""
        given = ResetRequest.of(request.body)
        policy, instruction = self.policy, given.instruction
        if self.trial is not None:
            policy, instruction = admitted(self.trial, given)
            for drive in list(self.drives.of.values()):  # its outcome is said
                self._end(drive, "scored")
        elif given.ticket is not None:
            raise RequestError(422, "no_trial", "no trial is served; begin without a ticket")
        self.drives.check_free(given.session, given.drive)
        if self.resets >= self.limits.sessions:
            raise RequestError(
                503, "too_many_requests", f"{self.resets} drives are begun just now; ask again"
            )
        self.resets += 1
        try:
            prompt, state = await self._in(self.model, lambda: policy.begin(instruction))
        finally:
            self.resets -= 1
        drive = Drive(given.session, prompt, state, given.period, self.drives.clock())
        drive.policy, drive.ticket = policy, given.ticket
        self._begin(drive, given)
        ticket = "" if given.ticket is None else f" with the ticket {given.ticket}"
        log.info("%s begins a drive%s: %s", given.session, ticket, prompt)
        return {
            "session": given.session,
            "drive": drive.id,
            "prompt": prompt,
            "step": 0,
            **self.outputs,
        }

    def _begin(self, drive: Drive, given: ResetRequest) -> None:
        """Begin a drive; where it cannot, nothing has changed."""
        before = given.drive
        self.drives.check_free(drive.session, before)
        if self.trial is not None and drive.ticket is not None:
            admitted(self.trial, given)  # another may have begun with the ticket meanwhile
            self.trial.begin(drive.ticket)
            self.tried = drive
        ended = self.drives.begin(drive, before)
        if self.recorder is not None:
            if ended is not None:
                self.recorder.end(ended)
            self.recorder.begin(drive)

    def _end(self, drive: Drive, ending: str) -> None:
        """End a drive for good."""
        self.drives.end(drive)
        if self.recorder is not None:
            self.recorder.end(drive)
        if self.trial is not None and self.tried is drive:
            self.tried = None
            self.trial.end(drive.next_step, self.drives.clock() - drive.used, ending)

    async def score(self, request: Request) -> Content:
        """Show the trial's page, and take what its form says of the drive."""
        assert self.trial is not None and self.page is not None
        if request.method == "GET":
            return self.page.shown()
        form = self.page.taken(request.body)
        ticket, outcome = form.get("ticket", ""), form.get("outcome", "")
        try:
            self.trial.score(ticket, outcome, form.get("reason") or None, form.get("note", ""))
        except RefusedError as error:
            return self.page.shown(str(error), wrong=True)
        if self.tried is not None and self.tried.ticket == ticket:
            self._end(self.tried, "scored")
        return self.page.shown(f"{ticket}: {outcome.replace('_', ' ')}")

    async def step(self, request: Request) -> dict[str, Any]:
        """Take a robot's newest picture, and answer the next actions."""
        given = StepRequest.of(request.query, request.headers.get("content-type", ""))
        drive = self.drives.get(given.drive)
        self.drives.check_due(drive, given.step)
        taken = request.arrived - given.age
        with self.drives.claimed(drive):
            pool = self._pool(_is_dear(given, request.body))
            digest = await self._in(pool, lambda: _digest(given, request.body))
            answered = self.drives.again(drive, given.step, digest)
            if answered is None:
                frame = await self._frame(drive.policy, given, request.body)
                chunk = await self._predict(drive, frame)
                answered = Answered(given.step, digest, taken, self._guarded(drive, chunk))
                drive.last, drive.next_step = answered, given.step + 1
                said = self._said(drive, answered, taken, request.arrived)
                if self.recorder is not None:
                    how = {name: getattr(given, name) for name in HOW}
                    self.recorder.step(drive, request.body, {"time": time.time(), **how, **said})
                return said
        return self._said(drive, answered, min(taken, answered.taken), request.arrived)

    def _said(
        self, drive: Drive, answered: Answered, taken: float, arrived: float
    ) -> dict[str, Any]:
        """Return the answer to a step: its actions, or the stop where they come too late.

        The first action is due ``ahead`` periods after the picture, and for one period.
        """
        now = time.monotonic()
        usable = taken + (drive.policy.ahead[0] + 1) * drive.period - now
        late = usable <= 0
        guarded = answered.guarded
        actions = np.zeros_like(guarded.chunk) if late else guarded.chunk
        drive.command = actions[0]
        return {
            "session": drive.session,
            "drive": drive.id,
            "step": answered.step,
            "actions": actions.tolist(),
            "stopped": "late" if late else guarded.stopped,
            "clamped": 0 if late else guarded.clamped,
            "picture_age": round(now - taken, 6),
            "seconds": round(now - arrived, 6),
            "usable_seconds": round(max(usable, 0.0), 6),
        }

    def _guarded(self, drive: Drive, chunk: np.ndarray) -> Guarded:
        """Keep a chunk within the guard's limits, and count and log what it changes."""
        before = np.zeros(chunk.shape[1:], chunk.dtype) if drive.command is None else drive.command
        guarded = drive.policy.guard.check(chunk, before)
        self.guarded["answers"] += 1
        self.guarded["clamped"] += guarded.clamped > 0
        self.guarded["stopped"] += guarded.stopped is not None
        if guarded.stopped is not None:
            log.warning(
                "%s, step %d: stopped, since the policy predicts %s (%s)",
                drive.session,
                drive.next_step,
                chunk.tolist(),
                guarded.stopped,
            )
        elif guarded.clamped and not drive.clamped:
            log.warning(
                "%s, step %d: %d of %d commands clamped, the first time in this drive; answers and "
                "/health count them",
                drive.session,
                drive.next_step,
                guarded.clamped,
                len(chunk),
            )
        drive.clamped = drive.clamped or guarded.clamped > 0
        return guarded

    async def _predict(self, drive: Drive, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A) that a drive's newest frame leads to; a fault ends it."""
        try:
            return await self._in(self.model, lambda: drive.policy.step(drive.state, frame))
        except BaseException as error:
            self._end(drive, "fault" if isinstance(error, Exception) else "server_ended")
            if self.trial is not None and isinstance(error, Exception):
                log.error("the policy of %s failed; serve it alone to see how", drive.ticket)
                # No more is said: where it failed would tell which policy it is.
                message = "the policy failed, and the drive has ended: score it as a failure"
                raise RequestError(500, "fault", message) from None
            raise

    async def _frame(self, policy: ServedPolicy, given: StepRequest, body: bytes) -> np.ndarray:
        pool = self._pool(_is_dear(given, body))
        if given.kind == RAW:
            image = await self._in(pool, lambda: unpack(body, given.width, given.height))
            return await self._in(pool, lambda: policy.frame(image, given.color))
        layout = await self._in(pool, lambda: layout_of(body))
        if layout.width * layout.height > DEAR_PIXELS or len(layout.intervals) > DEAR_INTERVALS:
            pool = self.dear_pictures
        return await self._in(pool, lambda: policy.frame(decode_layout(layout), "rgb"))

    def _pool(self, dear: bool) -> Executor:
        return self.dear_pictures if dear else self.pictures

    async def _in(self, where: Executor, work: Callable[[], T]) -> T:
        """Run something in a thread; what cannot be used is the client's mistake."""
        try:
            return await asyncio.get_running_loop().run_in_executor(where, work)
        except Unusable as error:
            raise RequestError(422, "unusable", str(error)) from None


def _is_dear(given: StepRequest, body: bytes) -> bool:
    """Whether already reading the bytes of a picture takes long."""
    return len(body) > (3 * DEAR_PIXELS if given.kind == RAW else DEAR_BYTES)


def _digest(given: StepRequest, body: bytes) -> bytes:
    """Return a digest of a picture and of how it is to be read."""
    how = repr((given.kind, given.width, given.height, given.color)).encode()
    return hashlib.sha256(how + body).digest()


def _yield_to_others() -> None:
    """Let this thread compute where the others leave time."""
    if sys.platform == "linux":  # where each thread has a priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)

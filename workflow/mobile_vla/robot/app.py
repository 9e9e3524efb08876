"""The server's application: ``/health``, ``/reset`` and ``/step``, and the robots' sessions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Self, TypeVar

import numpy as np
import torch
from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mobile_vla.config.base import Settings
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.errors import UserError
from mobile_vla.model.streaming import Stream
from mobile_vla.robot.images import Color, frame_of
from mobile_vla.robot.middleware import AccessMiddleware, RequestError, read_body
from mobile_vla.robot.policy import RobotPolicy, predict_drive
from mobile_vla.serving.pictures import Unusable, decode, unpack

log = logging.getLogger(__name__)

UNIT = "raw command units"
RESET_BYTES = 1 << 16
PICTURES = ("image/jpeg", "image/png")
RAW = "application/octet-stream"

T = TypeVar("T")

SessionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class ResetRequest(Settings):
    """The body of ``POST /reset``."""

    session: SessionName
    instruction: Annotated[str, Field(max_length=2000)] | None = None


class StepRequest(Settings):
    """The query of ``POST /step``; the picture is the body."""

    session: SessionName
    step: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)] | None = None
    height: Annotated[int, Field(ge=1)] | None = None
    color: Color | None = None


@dataclass
class Session:
    """The state of a robot's drive."""

    name: str
    stream: Stream
    used: float  # time of the last request, in the clock's seconds
    next_step: int = 0
    busy: bool = False


class Sessions:
    """The sessions by name, at most so many. All calls come from the server's event loop.

    After ``idle_seconds`` without a request a session makes room for another.
    """

    def __init__(self, most: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic):
        self.most, self.idle_seconds, self.clock = most, idle_seconds, clock
        self.of: dict[str, Session] = {}

    def begin(self, name: str, stream: Stream) -> None:
        """Begin a drive: the session's next frame is the first of an episode.

        Raises:
            RequestError: a step of the session is under way, or all places are taken.
        """
        if name in self.of:
            self._check_idle(self.of[name])
        elif len(self.of) >= self.most:
            oldest = min(self.of.values(), key=lambda session: (session.busy, session.used))
            if oldest.busy or self.clock() - oldest.used < self.idle_seconds:
                raise RequestError(
                    503,
                    "too_many_sessions",
                    f"all {self.most} sessions are taken; one that is idle for "
                    f"{self.idle_seconds:g} s makes room, or start the server with more "
                    "`--sessions`",
                    sessions=self.most,
                )
            del self.of[oldest.name]
        self.of[name] = Session(name, stream, self.clock())

    @contextmanager
    def claimed(self, name: str, step: int) -> Iterator[Session]:
        """Hold a session for one step, from 0; it stays where it is when the block raises.

        Raises:
            RequestError: there is no such session, another step of it is under way, or another
                step is due.
        """
        session = self.of.get(name)
        if session is None:
            raise RequestError(
                404, "no_session", f"there is no session {name!r}; begin one with POST /reset"
            )
        self._check_idle(session)
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

    @staticmethod
    def _check_idle(session: Session) -> None:
        if session.busy:
            raise RequestError(
                409,
                "busy",
                f"a step of session {session.name!r} is under way; wait for its answer, or use "
                "another session for each robot",
            )


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

    @property
    def body_bytes(self) -> int:
        """Bytes of the largest picture."""
        return int(self.max_body_mb * 1e6)

    @property
    def requests(self) -> int:
        """Requests that are answered at a time."""
        return 4 * self.sessions


class Server:
    """A policy behind HTTP. It is a context: leaving it ends its threads."""

    def __init__(self, loaded: RobotPolicy, limits: Limits):
        self.loaded, self.limits = loaded, limits
        self.sessions = Sessions(limits.sessions, limits.idle_seconds)
        dimensions = list(loaded.policy.settings.actions.dimensions)
        self.outputs = {"dimensions": dimensions, "unit": UNIT, "ahead": loaded.ahead}
        # What touches the policy runs in a single thread; others decode pictures meanwhile.
        threads = (torch.get_num_threads(),)
        self.model = ThreadPoolExecutor(1, "model", torch.set_num_threads, threads)
        self.pictures = ThreadPoolExecutor(2, "pictures")

    def __enter__(self) -> Self:
        """Warm the policy up, so that the first robot waits no longer than the others."""
        blank = np.zeros((2, *FRAME_SHAPE), dtype=np.uint8)
        self.model.submit(predict_drive, self.loaded, blank, 0).result()
        return self

    def __exit__(self, *error: object) -> None:
        self.model.shutdown()
        self.pictures.shutdown()

    def app(self, token: str | None) -> Starlette:
        """Return the application; with a token, only clients that show it are answered."""
        return Starlette(
            routes=[
                Route("/health", self.health, methods=["GET"]),
                Route("/reset", self.reset, methods=["POST"]),
                Route("/step", self.step, methods=["POST"]),
            ],
            middleware=[Middleware(AccessMiddleware, token=token, most=self.limits.requests)],
            exception_handlers={RequestError: _answer, HTTPException: _answer},
        )

    async def health(self, request: Request) -> JSONResponse:
        """Describe the served policy, its inputs and its outputs."""
        described = self.loaded.described
        return JSONResponse(
            {
                "status": "ok",
                "policy": described.model_dump(include={"experiment", "run", "epoch"}),
                "backbone": described.backbone.name,
                "precision": self.loaded.precision,
                "window": described.settings.window,
                "prompts": list(self.loaded.prompts.trained),
                "sessions": len(self.sessions.of),
                **self.outputs,
            }
        )

    async def reset(self, request: Request) -> JSONResponse:
        """Begin a robot's drive, under an instruction."""
        body = await read_body(request, RESET_BYTES)
        with _naming("the JSON body"):
            given = ResetRequest.model_validate_json(body)
        prompt = await self._in(self.model, lambda: self.loaded.prompts.index(given.instruction))
        stream = Stream(self.loaded.policy, [prompt], self.loaded.precision)
        self.sessions.begin(given.session, stream)
        text = self.loaded.policy.texts[prompt]
        log.info("session %s begins: %s", given.session, text)
        return JSONResponse({"session": given.session, "prompt": text, "step": 0, **self.outputs})

    async def step(self, request: Request) -> JSONResponse:
        """Take a robot's newest picture, and answer the next actions."""
        body = await read_body(request, self.limits.body_bytes)
        with _naming("the query"):
            given = StepRequest.model_validate(dict(request.query_params))
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        with self.sessions.claimed(given.session, given.step) as session:
            frame = await self._in(self.pictures, lambda: self._frame(body, kind, given))
            chunk = await self._predict(session, frame)
        return JSONResponse(
            {"session": given.session, "step": given.step, "actions": chunk.tolist()}
        )

    async def _predict(self, session: Session, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A) that a session's newest frame leads to; a fault ends it."""
        try:
            chunk = await self._in(self.model, lambda: session.stream.step(frame[None])[0])
            if not np.isfinite(chunk).all():
                raise RequestError(
                    500,
                    "not_finite",
                    "the policy predicts values that are not finite; the session has ended. Begin "
                    "again with POST /reset, and if it happens again use another policy",
                )
        except BaseException:
            self.sessions.of.pop(session.name, None)
            raise
        return chunk

    def _frame(self, body: bytes, kind: str, given: StepRequest) -> np.ndarray:
        if kind in PICTURES:
            return frame_of(decode(body), self.loaded.images)
        if kind != RAW:
            raise RequestError(
                415,
                "unknown_type",
                f"found the Content-Type {kind!r}, expected {', '.join(PICTURES)} or {RAW}",
            )
        if given.width is None or given.height is None or given.color is None:
            raise RequestError(
                400,
                "malformed",
                "a raw picture needs `width`, `height` and `color` (rgb or bgr) in the query",
            )
        return frame_of(unpack(body, given.width, given.height), self.loaded.images, given.color)

    async def _in(self, where: Executor, work: Callable[[], T]) -> T:
        """Run something in a thread; its mistakes of the user are the request's."""
        try:
            return await asyncio.get_running_loop().run_in_executor(where, work)
        except (UserError, Unusable) as error:
            raise RequestError(422, "unusable", str(error)) from None


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Refuse the request with what is wrong at a place of it, if anything is."""
    try:
        yield
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise RequestError(
            400, "malformed", f"{place} is not as expected: {'; '.join(faults[:5])}"
        ) from None


async def _answer(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException):
        place = f"{request.method} {request.url.path}"
        message = f"{place}: expected GET /health, POST /reset or POST /step"
        error = RequestError(error.status_code, "no_such_request", message)
    assert isinstance(error, RequestError)
    return error.response()

"""The server's application: ``/health``, ``/reset`` and ``/step`` of a policy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar

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
from mobile_vla.robot.images import Color, decode, frame_of, unpack
from mobile_vla.robot.middleware import AccessMiddleware, error_response, read_body
from mobile_vla.robot.policy import RobotPolicy, predict_drive
from mobile_vla.robot.sessions import RequestError, Session, Sessions

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
    """A policy behind HTTP. It is a context: leaving it ends its threads.

    Args:
        loaded: the policy.
        limits: of its clients.
    """

    def __init__(self, loaded: RobotPolicy, limits: Limits):
        self.loaded, self.limits = loaded, limits
        self.sessions = Sessions(limits.sessions, limits.idle_seconds)
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
            exception_handlers={RequestError: _answer_error, HTTPException: _answer_unknown},
        )

    async def health(self, request: Request) -> JSONResponse:
        """Describe the served policy, its inputs and its outputs."""
        described, settings = self.loaded.described, self.loaded.policy.settings
        return JSONResponse(
            {
                "status": "ok",
                "policy": {
                    name: getattr(described, name) for name in ("experiment", "run", "epoch")
                },
                "backbone": described.backbone.name,
                "precision": self.loaded.precision,
                "window": settings.window,
                "prompts": list(self.loaded.prompts.trained),
                "sessions": len(self.sessions),
                **self._output_facts(),
            }
        )

    def _output_facts(self) -> dict[str, Any]:
        settings = self.loaded.policy.settings
        return {
            "dimensions": list(settings.actions.dimensions),
            "unit": UNIT,
            "ahead": self.loaded.ahead,
        }

    async def reset(self, request: Request) -> JSONResponse:
        """Begin a robot's drive, under an instruction."""
        body = await read_body(request, RESET_BYTES)
        try:
            given = ResetRequest.model_validate_json(body)
        except ValidationError as error:
            raise _malformed("the JSON body", error) from None
        prompt = await self._in(self.model, lambda: self.loaded.prompts.index(given.instruction))
        stream = Stream(self.loaded.policy, [prompt], self.loaded.precision)
        self.sessions.begin(given.session, stream)
        text = self.loaded.policy.texts[prompt]
        log.info("session %s begins: %s", given.session, text)
        return JSONResponse(
            {"session": given.session, "prompt": text, "step": 0, **self._output_facts()}
        )

    async def step(self, request: Request) -> JSONResponse:
        """Take a robot's newest picture, and answer the next actions."""
        body = await read_body(request, self.limits.body_bytes)
        try:
            given = StepRequest.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise _malformed("the query", error) from None
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
            self.sessions.end(session.name)
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
        """Run something in a thread.

        Raises:
            RequestError: it raised a ``UserError``.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(where, work)
        except UserError as error:
            raise RequestError(422, "unusable", str(error)) from None


def _malformed(place: str, error: ValidationError) -> RequestError:
    found = [
        f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}" for one in error.errors()
    ]
    return RequestError(400, "malformed", f"{place} is not as expected: {'; '.join(found[:5])}")


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    return error_response(error)


async def _answer_unknown(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    place = f"{request.method} {request.url.path}"
    message = f"{place}: expected GET /health, POST /reset or POST /step"
    return error_response(RequestError(error.status_code, "no_such_request", message))

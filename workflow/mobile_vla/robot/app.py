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
from mobile_vla.robot.gate import Gate, body_of, refusal
from mobile_vla.robot.images import Color, decode, frame_of, unpack
from mobile_vla.robot.policy import Opened, ask
from mobile_vla.robot.sessions import Refused, Session, Sessions

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
    """What clients may ask for."""

    sessions: int
    idle_seconds: float
    body_bytes: int

    @property
    def requests(self) -> int:
        """Requests that are answered at a time."""
        return 4 * self.sessions


class Server:
    """A policy behind HTTP. It is a context: leaving it ends its threads.

    Args:
        opened: the policy.
        limits: what clients may ask for.
    """

    def __init__(self, opened: Opened, limits: Limits):
        self.opened, self.limits = opened, limits
        self.sessions = Sessions(limits.sessions, limits.idle_seconds)
        # All that touches the policy runs in one thread, one after another; pictures are unpacked
        # in others meanwhile.
        threads = (torch.get_num_threads(),)
        self.model = ThreadPoolExecutor(1, "model", torch.set_num_threads, threads)
        self.pictures = ThreadPoolExecutor(2, "pictures")

    def __enter__(self) -> Self:
        """Let the first robot wait no longer than the others."""
        blank = np.zeros((2, *FRAME_SHAPE), dtype=np.uint8)
        self.model.submit(ask, self.opened, blank, 0).result()
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
            middleware=[Middleware(Gate, token=token, most=self.limits.requests)],
            exception_handlers={Refused: _refused, HTTPException: _unknown},
        )

    async def health(self, request: Request) -> JSONResponse:
        """Say which policy is served, and what it takes and gives."""
        described, settings = self.opened.described, self.opened.policy.settings
        return JSONResponse(
            {
                "status": "ok",
                "policy": {
                    name: getattr(described, name) for name in ("experiment", "run", "epoch")
                },
                "backbone": described.backbone.name,
                "precision": self.opened.precision,
                "window": settings.window,
                "prompts": list(self.opened.prompts.trained),
                "sessions": len(self.sessions),
                **self._answers(),
            }
        )

    def _answers(self) -> dict[str, Any]:
        settings = self.opened.policy.settings
        return {
            "dimensions": list(settings.actions.dimensions),
            "unit": UNIT,
            "ahead": self.opened.ahead,
        }

    async def reset(self, request: Request) -> JSONResponse:
        """Begin a robot's drive, under an instruction."""
        body = await body_of(request, RESET_BYTES)
        try:
            asked = ResetRequest.model_validate_json(body)
        except ValidationError as error:
            raise _malformed("the JSON body", error) from None
        prompt = await self._in(self.model, lambda: self.opened.prompts.index(asked.instruction))
        stream = Stream(self.opened.policy, [prompt], self.opened.precision)
        self.sessions.begin(asked.session, stream)
        text = self.opened.policy.texts[prompt]
        log.info("session %s begins: %s", asked.session, text)
        return JSONResponse(
            {"session": asked.session, "prompt": text, "step": 0, **self._answers()}
        )

    async def step(self, request: Request) -> JSONResponse:
        """Take a robot's newest picture, and answer the next actions."""
        body = await body_of(request, self.limits.body_bytes)
        try:
            asked = StepRequest.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise _malformed("the query", error) from None
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        with self.sessions.claimed(asked.session, asked.step) as session:
            frame = await self._in(self.pictures, lambda: self._frame(body, kind, asked))
            chunk = await self._predict(session, frame)
        return JSONResponse(
            {"session": asked.session, "step": asked.step, "actions": chunk.tolist()}
        )

    async def _predict(self, session: Session, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A) that a session's newest frame leads to; a fault ends it."""
        try:
            chunk = await self._in(self.model, lambda: session.stream.step(frame[None])[0])
            if not np.isfinite(chunk).all():
                raise Refused(
                    500,
                    "not_finite",
                    "the policy predicts values that are not finite; the session has ended. Begin "
                    "again with POST /reset, and if it happens again use another policy",
                )
        except BaseException:
            self.sessions.end(session.name)
            raise
        return chunk

    def _frame(self, body: bytes, kind: str, asked: StepRequest) -> np.ndarray:
        if kind in PICTURES:
            return frame_of(decode(body), self.opened.images)
        if kind != RAW:
            raise Refused(
                415,
                "unknown_type",
                f"found the Content-Type {kind!r}, expected {', '.join(PICTURES)} or {RAW}",
            )
        if asked.width is None or asked.height is None or asked.color is None:
            raise Refused(
                400,
                "malformed",
                "a raw picture needs `width`, `height` and `color` (rgb or bgr) in the query",
            )
        return frame_of(unpack(body, asked.width, asked.height), self.opened.images, asked.color)

    async def _in(self, where: Executor, work: Callable[[], T]) -> T:
        """Run something in a thread.

        Raises:
            Refused: it raised a ``UserError``.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(where, work)
        except UserError as error:
            raise Refused(422, "unusable", str(error)) from None


def _malformed(place: str, error: ValidationError) -> Refused:
    found = [
        f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}" for one in error.errors()
    ]
    return Refused(400, "malformed", f"{place} is not as expected: {'; '.join(found[:5])}")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return refusal(error)


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    place = f"{request.method} {request.url.path}"
    message = f"{place}: expected GET /health, POST /reset or POST /step"
    return refusal(Refused(error.status_code, "no_such_request", message))

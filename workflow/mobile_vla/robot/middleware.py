"""Refuse requests of the server: access, number of requests at a time, size of their bodies."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""
DISCARDED = 64 << 20
"""Bytes that are read and thrown away of a request that was answered before it was sent."""


class RequestError(Exception):
    """A request that is refused, with a message for the client.

    ``code`` is the error's name, for programs, and ``facts`` are further values of the answer.
    """

    def __init__(self, status: int, code: str, message: str, **facts: Any):
        super().__init__(message)
        self.status, self.content = status, {"error": code, "message": message, **facts}

    def response(self) -> JSONResponse:
        """Return the answer to the request."""
        headers = {"Retry-After": "1"} if self.status == 503 else None
        return JSONResponse(self.content, self.status, headers)


class AccessMiddleware:
    """Refuses requests without the token, if there is one, of web pages, and more than ``most``."""

    def __init__(self, app: ASGIApp, token: str | None, most: int):
        self.app, self.most, self.active = app, most, 0
        self.token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            return
        body = _DrainedBody(receive, send)
        refused = self._check(dict(scope["headers"]))
        if refused is not None:
            await refused.response()(scope, body.receive, body.send)
            return
        self.active += 1
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            # Here, because an exception that leaves the application closes the connection silently.
            log.exception("%s %s: a fault of the server", scope["method"], scope["path"])
            if body.answered:
                raise
            fault = RequestError(500, "fault", "a fault of the server; its log tells more")
            await fault.response()(scope, body.receive, body.send)
        finally:
            self.active -= 1

    def _check(self, headers: dict[bytes, bytes]) -> RequestError | None:
        if self.token is not None:
            shown = headers.get(b"authorization", b"")
            if not hmac.compare_digest(shown, b"Bearer " + self.token):
                return RequestError(
                    401, "no_token", "expected the header `Authorization: Bearer TOKEN`"
                )
        if b"origin" in headers:
            # else any web page that is open on this machine could drive the robot
            return RequestError(403, "browser", "requests of web pages are not answered")
        if self.active >= self.most:
            return RequestError(
                503, "too_many_requests", f"{self.most} requests are under way; ask again later"
            )
        return None


class _DrainedBody:
    """A request's body, of which nothing is left unread when the answer goes out.

    A connection that is closed on unread bytes is reset, and the client never sees the answer.
    """

    def __init__(self, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        self.ended = False  # whether all of the body was read
        self.answered = False  # whether the answer has begun

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            left = DISCARDED
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BODY_SECONDS):
                    while not self.ended and left > 0:
                        left -= len((await self.receive()).get("body", b""))
        self.answered = True
        await self._send(message)


async def read_body(request: Request, most: int) -> bytes:
    """Read a request's body.

    Raises:
        RequestError: it has more than ``most`` bytes, or takes too long.
    """
    too_large = RequestError(
        413, "too_large", f"the body has more than {most} bytes, which is the most", limit=most
    )
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise RequestError(
            408, "too_slow", f"the body did not come within {BODY_SECONDS:g} s"
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "cut_off", "the connection ended before the body did") from None
    return bytes(body)

"""What every request goes through first: who may ask, how many at a time, how much is read."""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobile_vla.robot.sessions import Refused

log = logging.getLogger(__name__)

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""
DISCARDED = 64 << 20
"""Bytes that are read and thrown away of a request that was answered before it was sent."""


def refusal(refused: Refused) -> JSONResponse:
    """Return the answer to a request that is not granted."""
    headers = {"Retry-After": "1"} if refused.status == 503 else None
    content: dict[str, Any] = {"error": refused.code, "message": refused.message, **refused.facts}
    return JSONResponse(content, refused.status, headers)


class Gate:
    """Refuses what may not come in.

    Args:
        app: the application behind it.
        token: what clients must show; None asks for nothing.
        most: requests that are answered at a time.
    """

    def __init__(self, app: ASGIApp, token: str | None, most: int):
        self.app, self.most, self.inside = app, most, 0
        self.token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            return
        body = _Body(receive, send)
        refused = self._check(dict(scope["headers"]))
        if refused is not None:
            await refusal(refused)(scope, body.receive, body.send)
            return
        self.inside += 1
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            # Here, because whatever leaves the application closes the connection without a word.
            log.exception("%s %s: a fault of the server", scope["method"], scope["path"])
            if body.answered:
                raise
            fault = Refused(500, "fault", "a fault of the server, which its log tells more of")
            await refusal(fault)(scope, body.receive, body.send)
        finally:
            self.inside -= 1

    def _check(self, headers: dict[bytes, bytes]) -> Refused | None:
        if self.token is not None:
            shown = headers.get(b"authorization", b"")
            if not hmac.compare_digest(shown, b"Bearer " + self.token):
                return Refused(401, "no_token", "expected the header `Authorization: Bearer TOKEN`")
        if b"origin" in headers:
            # any web page that is open on this machine could ask to drive
            return Refused(403, "browser", "requests of web pages are not answered")
        if self.inside >= self.most:
            return Refused(
                503, "too_many_requests", f"{self.most} requests are under way; ask again later"
            )
        return None


class _Body:
    """A request's body, of which nothing is left unread when the answer goes out.

    A connection that is closed on unread bytes is reset, and the client never sees the answer.
    """

    def __init__(self, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        self.ended = False
        """Whether all of the body was read."""
        self.answered = False
        """Whether the answer has begun."""

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.ended:
            await self._discard()
        self.answered = True
        await self._send(message)

    async def _discard(self) -> None:
        left = DISCARDED
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not self.ended and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


async def body_of(request: Request, most: int) -> bytes:
    """Read a request's body.

    Args:
        request: the request.
        most: bytes that it may have.

    Raises:
        Refused: it is larger, or takes too long.
    """
    too_large = Refused(
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
        raise Refused(408, "too_slow", f"the body did not come within {BODY_SECONDS:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "cut_off", "the connection ended before the body did") from None
    return bytes(body)

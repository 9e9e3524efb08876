"""An HTTP/1.1 server for a few robots that a client who behaves badly cannot stop.

Answers are JSON; at addresses that are given for them, pages that a browser on this machine opens.
Everything that a client may take has a limit: the time for a request's head and body, the bytes of
both, the connections, and how much is held of bodies that are still coming. Where a limit is
reached, the connection goes that has held something longest without a complete request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from typing import Any, Awaitable, Callable, Dict, Union
from urllib.parse import parse_qsl, urlsplit

log = logging.getLogger(__name__)

HEAD_SECONDS = 5.0
"""From a connection's, or a request's, beginning to the end of the request's head."""
BODY_SECONDS = 10.0
"""From the end of the head to the end of the body."""
KEPT_SECONDS = 60.0
"""That a connection is kept between two requests."""
SENDING_SECONDS = 5.0
"""That a client may take to receive an answer."""
ENDING_SECONDS = 0.3
"""That clients who wait have to be told that the server ends, and as long for the others to go."""
HEAD_BYTES = 1 << 14
CONNECTIONS = 256
HELD_BODIES = 8
"""Times the largest body: bytes that are held of bodies that are still coming."""
DISCARDED = 64 << 20
"""Bytes that are read and thrown away of a request that was answered before it was sent.

A connection that is closed on unread bytes is reset, and the client never sees the answer."""

PAGE = (
    "text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: same-origin\r\n"
    "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; "
    "style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The Content-Type of a page, and what a browser may do with it: no script, no frame."""

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class RequestError(Exception):
    """A request that is refused, with a message for the client.

    ``code`` is the error's name, for programs, and ``facts`` are further values of the answer.
    """

    def __init__(self, status: int, code: str, message: str, **facts: Any):
        super().__init__(message)
        self.status, self.content = status, {"error": code, "message": message, **facts}


class Request:
    """A request whose head is complete; its body follows.

    Attributes:
        method: such as ``POST``.
        path: without the query.
        query: its values by name; each name once.
        headers: by name in lower case.
        arrived: when its first byte came, on the clock of ``time.monotonic``.
        body: empty until it has come.
        peer: the address that it comes from.
    """

    def __init__(self, head: bytes, arrived: float, peer: str = ""):
        self.arrived, self.body, self.peer = arrived, b"", peer
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or words[1][:1] != "/":
            raise _malformed(f"the first line {lines[0][:100]!r} is not that of HTTP/1.1")
        self.method, target, self.version = words
        self.headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or not name or name.strip() != name:
                raise _malformed(f"the header {line[:100]!r} is not one")
            if name in self.headers and name in ("host", "content-length", "authorization"):
                raise _malformed(f"the header {name!r} is there twice")
            self.headers[name] = value.strip()
        try:
            parts = urlsplit(target)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20)
        except ValueError as error:
            raise _malformed(f"the address is not one: {error}") from None
        self.path, self.query = parts.path, dict(pairs)
        if len(self.query) < len(pairs):
            raise _malformed("a name is there twice in the query")

    @property
    def length(self) -> int:
        """Bytes of the body that it declares.

        Raises:
            RequestError: it declares none, or otherwise.
        """
        if "transfer-encoding" in self.headers:
            raise RequestError(411, "no_length", "expected a body of a declared Content-Length")
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise _malformed(f"the Content-Length {text[:100]!r} is no number")
        return int(text)

    @property
    def closes(self) -> bool:
        """Whether its connection is to be closed after the answer."""
        said = self.headers.get("connection", "").lower()
        return "close" in said or (self.version == "HTTP/1.0" and "keep-alive" not in said)


class Page(str):
    """HTML, as an answer."""


Content = Union[Dict[str, Any], Page]
Check = Callable[[Request], None]
"""Raises a RequestError for a request of somebody who is not answered."""
Admit = Callable[[Request], int]
"""Checks a request by its head, and returns how many bytes its body may have."""
Answer = Callable[[Request], Awaitable[Content]]
"""Answers a whole request."""


class _Connection:
    """A client's connection, and what it holds."""

    def __init__(self, writer: asyncio.StreamWriter):
        self.writer = writer
        self.since = time.monotonic()  # when it began to wait for what it waits for
        self.served = False  # whether a request of it was answered well
        self.answering: asyncio.Task | None = None
        self.body = bytearray()
        self.dropped = False
        self.task = asyncio.current_task()

    def drop(self) -> None:
        self.dropped = True
        self.writer.transport.abort()


class HttpServer:
    """Reads requests and sends answers, JSON or pages.

    Args:
        admit: as :data:`Admit`; a RequestError that it raises is the answer.
        answer: as :data:`Answer`.
        check: as :data:`Check`.
        most_bytes: of the largest body of all.
    """

    def __init__(self, admit: Admit, answer: Answer, check: Check, most_bytes: int):
        self.admit, self.answer, self.check = admit, answer, check
        self.most_held = HELD_BODIES * most_bytes
        self.connections: list[_Connection] = []
        self.started = False
        self._ending: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, listener: socket.socket) -> None:
        """Serve until :meth:`end` is called; then whoever waits is told so."""
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._connected, sock=listener, limit=HEAD_BYTES, backlog=128
        )
        self.started = True
        await self._ending.wait()
        server.close()
        answering = [one for one in self.connections if one.answering is not None]
        for one in answering:
            assert one.answering is not None
            one.answering.cancel()
        await _finished(answering)  # their clients are told
        rest = list(self.connections)
        for one in rest:
            one.drop()
        await _finished(rest)

    def end(self) -> None:
        """End; from any thread, or from a signal's handler. It may have ended already."""
        assert self._loop is not None and self._ending is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ending.set)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        if len(self.connections) >= CONNECTIONS:
            _drop_one([one for one in self.connections if one.answering is None])
        self.connections.append(connection)
        try:
            while await self._one(reader, connection):
                connection.since = time.monotonic()
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError):
            pass  # the client has gone, or is silent
        finally:
            self.connections.remove(connection)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, connection: _Connection) -> bool:
        """Answer a request; return whether another may follow on the connection."""
        request = None
        try:
            request = await self._head(reader, connection)
            self.check(request)
            most = self.admit(request)
            if request.length > most:
                raise RequestError(
                    413,
                    "too_large",
                    f"the body has {request.length} bytes, expected at most {most}",
                    limit=most,
                )
            request.body = await self._body(reader, connection, request)
        except RequestError as error:
            # Of its body nothing was read, or not all of it.
            await self._send(connection, error.status, error.content, closing=True)
            await self._discard(reader, connection)
            return False
        status, content = await self._answered(connection, request)
        connection.served = connection.served or status == 200
        closing = request.closes or self._ending is None or self._ending.is_set()
        await self._send(connection, status, content, closing)
        return not closing

    async def _head(self, reader: asyncio.StreamReader, connection: _Connection) -> Request:
        patience = KEPT_SECONDS if connection.served else HEAD_SECONDS
        first = await asyncio.wait_for(reader.readexactly(1), patience)
        connection.since = time.monotonic()
        try:
            rest = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
        except asyncio.LimitOverrunError:
            raise RequestError(
                431, "too_large", f"the head has more than {HEAD_BYTES} bytes, which is the most"
            ) from None
        except asyncio.TimeoutError:
            raise RequestError(
                408, "too_slow", f"the head did not come within {HEAD_SECONDS:g} s"
            ) from None
        peer = connection.writer.get_extra_info("peername") or ("",)
        return Request((first + rest)[:-4], connection.since, peer[0])

    async def _body(
        self, reader: asyncio.StreamReader, connection: _Connection, request: Request
    ) -> bytes:
        if request.headers.get("expect", "").lower() == "100-continue" and request.length:
            connection.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.since = time.monotonic()
        try:
            return await asyncio.wait_for(
                self._read(reader, connection, request.length), BODY_SECONDS
            )
        except asyncio.TimeoutError:
            raise RequestError(
                408, "too_slow", f"the body did not come within {BODY_SECONDS:g} s"
            ) from None
        finally:
            connection.body = bytearray()

    async def _read(
        self, reader: asyncio.StreamReader, connection: _Connection, length: int
    ) -> bytes:
        body = connection.body
        while len(body) < length:
            part = await reader.read(min(length - len(body), 1 << 18))
            if not part:
                raise RequestError(400, "cut_off", "the connection ended before the body did")
            body += part
            if sum(len(one.body) for one in self.connections) > self.most_held:
                _drop_one([one for one in self.connections if one.body])
        return bytes(body)

    async def _answered(self, connection: _Connection, request: Request) -> tuple[int, Content]:
        task = asyncio.ensure_future(self.answer(request))
        connection.answering = task
        try:
            await asyncio.wait([task])
        finally:
            connection.answering = None
        try:
            return 200, task.result()
        except RequestError as error:
            return error.status, error.content
        except asyncio.CancelledError:
            return 503, {"error": "ending", "message": "the server ends; its answers move nothing"}
        except Exception:
            log.exception("%s %s: a fault of the server", request.method, request.path)
            message = "a fault of the server; its log tells more"
            return 500, {"error": "fault", "message": message}

    async def _send(
        self, connection: _Connection, status: int, content: Content, closing: bool
    ) -> None:
        if isinstance(content, Page):
            body, kind = content.encode(), PAGE
        else:
            body, kind = json.dumps(content).encode(), "application/json"
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {'close' if closing else 'keep-alive'}\r\n"
        )
        if status == 503:
            head += "Retry-After: 1\r\n"
        connection.writer.write(head.encode() + b"\r\n" + body)
        await asyncio.wait_for(connection.writer.drain(), SENDING_SECONDS)

    async def _discard(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        """Read what a refused client still sends, until it has seen the answer and closes."""
        connection.since = time.monotonic()
        if connection.writer.can_write_eof():
            connection.writer.write_eof()
        left = DISCARDED
        until = time.monotonic() + BODY_SECONDS
        while left > 0 and time.monotonic() < until:
            part = await asyncio.wait_for(reader.read(1 << 16), until - time.monotonic())
            if not part:
                return
            left -= len(part)


async def _finished(connections: list[_Connection]) -> None:
    """Wait a moment until connections have come to their ends."""
    tasks = [one.task for one in connections if one.task is not None]
    if tasks:
        await asyncio.wait(tasks, timeout=ENDING_SECONDS)


def _drop_one(holding: list[_Connection]) -> None:
    """Drop the connection that holds something longest; first of those that no answer went to."""
    chosen = [one for one in holding if not one.dropped]
    if chosen:
        min(chosen, key=lambda one: (one.served, one.since)).drop()


def _malformed(message: str) -> RequestError:
    return RequestError(400, "malformed", message)

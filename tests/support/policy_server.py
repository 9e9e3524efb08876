"""A policy behind a real HTTP server on a loopback port, and a client of a few lines."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import numpy as np
from PIL import Image

from mobile_vla.serving.access import Access
from mobile_vla.serving.application import Limits, Server
from mobile_vla.serving.listening import open_listener

LIMITS = Limits(sessions=3, idle_seconds=600.0, max_body_mb=0.4)
PERIOD = 30.0  # seconds: no answer of a test comes too late by chance


class Client:
    """One connection, as a robot keeps it; it keeps each robot's drive."""

    def __init__(self, port: int, token: str | None = None):
        self.port = port
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.drives: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: Any = None, kind: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON of an answer."""
        sent = {**self.headers, **headers, **({} if kind is None else {"Content-Type": kind})}
        self.connection.request(method, path, body, sent)
        response = self.connection.getresponse()
        content = response.read()
        assert response.headers["Content-Type"] == "application/json", content
        return response.status, json.loads(content)

    def reset(
        self, session: str, instruction: str | None = None, **changes: Any
    ) -> tuple[int, dict[str, Any]]:
        """Begin a drive."""
        body = {"session": session, "instruction": instruction, "period": PERIOD}
        body |= {"drive": self.drives.get(session), **changes}
        status, answer = self.ask("POST", "/reset", json.dumps(body))
        if status == 200:
            self.drives[session] = answer["drive"]
        return status, answer

    def step(
        self, session: str, step: int, picture: Any, kind: str = "image/png", **query: Any
    ) -> tuple[int, dict[str, Any]]:
        """Send a picture."""
        drive = self.drives.get(session, "0" * 32)
        asked = "&".join(
            f"{key}={value}" for key, value in {"drive": drive, "step": step, **query}.items()
        )
        return self.ask("POST", f"/step?{asked}", picture, kind)


@contextmanager
def serving(server: Server, token: str | None = None) -> Iterator[Client]:
    """Let a server answer in a thread of this process."""
    with open_listener("127.0.0.1", 0) as listener:
        http = server.http(Access(token, "127.0.0.1", server.pages))
        thread = threading.Thread(target=asyncio.run, args=(http.run(listener),))
        thread.start()
        try:
            while not http.started:
                assert thread.is_alive()
                time.sleep(0.001)
            yield Client(listener.getsockname()[1], token)
        finally:
            http.end()
            thread.join()
            server.close()


def png(frame: np.ndarray) -> bytes:
    """Return a picture without loss."""
    return encoded(frame, "PNG")


def encoded(frame: np.ndarray, kind: str, **options: Any) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, kind, **options)
    return file.getvalue()

"""Where a server listens, who may ask there, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from mobile_vla.serving.access import is_loopback
from mobile_vla.serving.web import HttpServer

TOKEN = "MOBILE_VLA_TOKEN"  # environment variable
SHORTEST_TOKEN = 16  # characters


class ListeningError(Exception):
    """The address cannot be listened at, or a token is missing; the message says what to do."""


def open_listener(host: str, port: int) -> socket.socket:
    """Open a listening socket: a taken port is noticed before a policy is loaded for minutes.

    What it accepts sends at once: an answer goes out as head and body, and the second would wait
    for the first's acknowledgement, which takes 40 ms. asyncio sets this only for its sockets.

    Raises:
        ListeningError: the address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise ListeningError(
            f"--host {host} --port {port}: cannot be listened at ({error}); choose another port, "
            "or stop what uses this one"
        ) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def read_token(host: str, file: Path | None) -> str | None:
    """Read the token that clients must show.

    Raises:
        ListeningError: it is too short; or there is none, and other machines can ask.
    """
    token = os.environ.get(TOKEN)
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ListeningError(f"--token-file {file}: cannot be read: {error}") from None
    if token is None and not is_loopback(host):
        raise ListeningError(
            f"--host {host}: other machines could drive the robot; expected a token: "
            "write one into a file (`openssl rand -hex 32`) and say `--token-file FILE`, or put "
            f"it into {TOKEN}"
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii()):
        raise ListeningError(
            f"the token: found {len(token)} characters, expected at least {SHORTEST_TOKEN}, all of "
            "them ASCII; `openssl rand -hex 32` makes one"
        )
    return token


async def until_signal(http: HttpServer, listener: socket.socket) -> int:
    """Serve until SIGINT or SIGTERM comes, and return its number."""
    sys.setswitchinterval(0.001)  # so that threads that read large bodies hold up no step
    loop, received = asyncio.get_running_loop(), [int(signal.SIGTERM)]

    def end(number: int) -> None:
        received[0] = number
        http.end()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    await http.run(listener)
    return received[0]

"""Serve: offer a policy to robots over HTTP."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from pathlib import Path

import torch
import uvicorn
from starlette.applications import Starlette

from mobile_vla.config.features import Precision
from mobile_vla.errors import UserError
from mobile_vla.robot.app import Limits, Server
from mobile_vla.robot.policy import Opened, open_policy

log = logging.getLogger(__name__)

TOKEN = "MOBILE_VLA_TOKEN"  # environment variable
SHORTEST_TOKEN = 16  # characters
KEEP_ALIVE = 60  # seconds that a robot's connection is kept between two pictures


def serve(
    policy: Path,
    *,
    backbone: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: Path | None = None,
    sessions: int = 8,
    idle_seconds: float = 600.0,
    max_body_mb: float = 8.0,
    precision: Precision | None = None,
    threads: int | None = None,
    allow_other_prompts: bool = False,
) -> None:
    """Offer a policy over HTTP, until it is interrupted. docs/robot.md describes the requests.

    A token is read from `--token-file` or the environment variable MOBILE_VLA_TOKEN. It is needed
    where others than this machine are answered.

    Args:
        policy: the policy's folder.
        backbone: the backbone's folder; by default that of the results which the policy lies in.
        host: address to listen at; other machines are answered at 0.0.0.0.
        port: port to listen at; 0 takes any that is free.
        token_file: file with the token that clients must show.
        sessions: robots at a time.
        idle_seconds: after so long without a request a session makes room for another.
        max_body_mb: largest picture in 10^6 bytes.
        precision: number format, fp32, bf16, fp16 or auto; by default that of the training.
        threads: CPU threads; by default those of the training.
        allow_other_prompts: allow instructions that the policy was not trained with.

    Raises:
        UserError: the policy cannot be used here, the port is taken, or a token is missing.
    """
    token = _token(host, token_file)
    limits = Limits(sessions, idle_seconds, int(max_body_mb * 1e6))
    with listening(host, port) as listener:
        opened = open_policy(
            policy,
            backbone,
            precision=precision,
            threads=threads,
            allow_other_prompts=allow_other_prompts,
        )
        with Server(opened, limits) as server:
            address, bound = listener.getsockname()[:2]
            log.info("%s", _title(opened))
            log.info(
                "serving at http://%s:%d", f"[{address}]" if ":" in address else address, bound
            )
            http_server(server.app(token)).run(sockets=[listener])


def http_server(app: Starlette) -> uvicorn.Server:
    """Return the HTTP server of an application; its ``run`` ends by SIGINT or SIGTERM."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=5,
        )
    )


def _title(opened: Opened) -> str:
    described = opened.described
    return (
        f"{described.experiment} {described.run}, epoch {described.epoch}, on "
        f"{described.backbone.name} in {opened.precision}, "
        f"{next(opened.policy.parameters()).device.type} with {torch.get_num_threads()} threads"
    )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens, before minutes of loading find the port taken.

    What it accepts sends at once: an answer goes out as head and body, and the second would wait
    for the first's acknowledgement, which takes 40 ms. asyncio sees to that for sockets of its own.

    Raises:
        UserError: the address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--host {host} --port {port}: cannot be listened at ({error}); choose another port, "
            "or stop what uses this one"
        ) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _token(host: str, file: Path | None) -> str | None:
    """Return the token that clients must show.

    Raises:
        UserError: it is too short; or there is none, and the server can be reached from elsewhere.
    """
    token = os.environ.get(TOKEN)
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--token-file {file}: cannot be read: {error}") from None
    if token is None and not _is_loopback(host):
        raise UserError(
            f"--host {host}: others than this machine could drive the robot; expected a token: "
            "write one into a file (`openssl rand -hex 32`) and say `--token-file FILE`, or put "
            f"it into {TOKEN}"
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii()):
        raise UserError(
            f"the token: found {len(token)} characters, expected at least {SHORTEST_TOKEN}, all of "
            "them ASCII; `openssl rand -hex 32` makes one"
        )
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

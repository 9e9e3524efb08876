"""Serve a policy to robots over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from mobile_vla.errors import UserError
from mobile_vla.robot.policy import PolicyOptions, RobotPolicy, load_robot_policy
from mobile_vla.robot.recording import finish_drive
from mobile_vla.robot.served import TorchPolicy
from mobile_vla.serving.application import Limits, Server
from mobile_vla.serving.recorder import Recorder
from mobile_vla.serving.web import Access, HttpServer

log = logging.getLogger(__name__)

TOKEN = "MOBILE_VLA_TOKEN"  # environment variable
SHORTEST_TOKEN = 16  # characters
FINISHING = 0.7  # seconds that recorded drives have to be finished when the server ends


@dataclass(frozen=True)
class Address:
    """Where the server listens.

    Args:
        host: address to listen at; other machines are answered at 0.0.0.0.
        port: port to listen at; 0 takes any that is free.
        token_file: file with the token that clients must show.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token_file: Path | None = None


def serve(
    policy: Path,
    *,
    backbone: Path | None = None,
    record: Path | None = None,
    address: Address,
    limits: Limits,
    options: PolicyOptions,
) -> None:
    """Serve a policy over HTTP until it is interrupted. docs/robot.md describes the requests.

    A token is read from `--token-file` or the environment variable MOBILE_VLA_TOKEN. It is needed
    where others than this machine are answered.

    Args:
        policy: the policy's folder.
        backbone: the backbone's folder; by default that of the results which the policy lies in.
        record: folder in which each drive is kept as an episode, with pictures, answers and times.
        address: where the server listens.
        limits: of the clients.
        options: how the policy is run.

    Raises:
        UserError: the policy cannot be used here, the port is taken, or a token is missing.
    """
    token = read_token(address.host, address.token_file)
    with open_listener(address.host, address.port) as listener:
        loaded = load_robot_policy(policy, backbone, options)
        server = server_of(loaded, limits, record)
        host, port = listener.getsockname()[:2]
        described = loaded.described
        log.info(
            f"{described.experiment} {described.run}, epoch {described.epoch}, on "
            f"{described.backbone.name} in {loaded.precision}, "
            f"{loaded.policy.device.type} with {torch.get_num_threads()} threads"
        )
        log.info("serving at http://%s:%d", f"[{host}]" if ":" in host else host, port)
        number = asyncio.run(_until_signal(server.http(Access(token, address.host)), listener))
        if server.recorder is not None and not server.recorder.close(FINISHING):
            log.warning("%s: some drives are finished when a server records there again", record)
        log.info("the server has ended")
        logging.shutdown()
        # At once: Python would wait for a step that may take seconds, and take down PyTorch.
        os._exit(128 + number)


def server_of(loaded: RobotPolicy, limits: Limits, record: Path | None = None) -> Server:
    """Return a server of a policy, which has predicted once."""
    policy = TorchPolicy(loaded)
    threads = torch.get_num_threads()
    recorder = None if record is None else Recorder(record, policy.recorded, finish_drive)
    server = Server(policy, limits, lambda: torch.set_num_threads(threads), recorder)
    server.model.submit(policy.warm_up).result()
    return server


async def _until_signal(http: HttpServer, listener: socket.socket) -> int:
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


def open_listener(host: str, port: int) -> socket.socket:
    """Open a listening socket: a taken port is noticed before a policy is loaded for minutes.

    What it accepts sends at once: an answer goes out as head and body, and the second would wait
    for the first's acknowledgement, which takes 40 ms. asyncio sets this only for its sockets.

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


def read_token(host: str, file: Path | None) -> str | None:
    """Read the token that clients must show.

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
            f"--host {host}: other machines could drive the robot; expected a token: "
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

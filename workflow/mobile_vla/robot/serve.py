"""Serve a policy to robots over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from mobile_vla.errors import UserError
from mobile_vla.robot.policy import PolicyOptions, RobotPolicy, load_robot_policy
from mobile_vla.robot.recording import finish_drive
from mobile_vla.robot.served import TorchPolicy
from mobile_vla.serving.application import Limits, Server
from mobile_vla.serving.listening import (
    ListeningError,
    open_listener,
    read_token,
    until_signal,
)
from mobile_vla.serving.recorder import Recorder
from mobile_vla.serving.web import Access

log = logging.getLogger(__name__)

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
    try:
        token = read_token(address.host, address.token_file)
        opened = open_listener(address.host, address.port)
    except ListeningError as error:
        raise UserError(str(error)) from None
    with opened as listener:
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
        number = asyncio.run(until_signal(server.http(Access(token, address.host)), listener))
        if server.recorder is not None and not server.recorder.close(FINISHING):
            log.warning("%s: some drives are finished when a server records there again", record)
        log.info("the server has ended")
        logging.shutdown()
        # At once: Python would wait for a step that may take seconds, and take down PyTorch.
        os._exit(128 + number)


def server_of(loaded: RobotPolicy, limits: Limits, record: Path | None = None) -> Server:
    """Return a server of a policy, which has predicted once.

    Raises:
        UserError: drives cannot be recorded there.
    """
    policy = TorchPolicy(loaded)
    threads = torch.get_num_threads()
    recorder = None
    if record is not None:
        try:
            recorder = Recorder(record, policy.recorded, finish_drive)
        except OSError as error:
            raise UserError(
                f"--record {record}: cannot be written ({error}); name a folder that can"
            ) from None
    server = Server(policy, limits, lambda: torch.set_num_threads(threads), recorder)
    server.model.submit(policy.warm_up).result()
    return server

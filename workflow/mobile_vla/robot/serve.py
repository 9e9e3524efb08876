"""Serve a policy to robots over HTTP, or the policies of a trial."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mobile_vla.errors import UserError
from mobile_vla.robot.blind import BlindTrial, load_trial
from mobile_vla.robot.policy import PolicyOptions, RobotPolicy, load_robot_policy
from mobile_vla.robot.recording import finish_drive
from mobile_vla.robot.served import TorchPolicy
from mobile_vla.serving.access import Access
from mobile_vla.serving.application import Limits, Server
from mobile_vla.serving.listening import (
    ListeningError,
    open_listener,
    read_token,
    until_signal,
)
from mobile_vla.serving.recorder import Recorder

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
    policy: Path | None = None,
    *,
    trials: str | None = None,
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
        trials: in place of a policy a trial of config.yaml, whose tickets pick the policy:
            docs/trials.md.
        backbone: the backbone's folder; by default that of the results which the policy lies in.
        record: folder in which each drive is kept as an episode, with pictures, answers and times.
        address: where the server listens.
        limits: of the clients.
        options: how the policy is run.

    Raises:
        UserError: the policy cannot be used here, the port is taken, or a token is missing.
    """
    if (policy is None) == (trials is None):
        raise UserError("expected a policy's folder, or `--trials NAME`, and not both")
    try:
        token = read_token(address.host, address.token_file)
        opened = open_listener(address.host, address.port)
    except ListeningError as error:
        raise UserError(str(error)) from None
    with opened as listener:
        if policy is not None:
            server = _of_policy(policy, backbone, options, limits, record)
        else:
            assert trials is not None
            server = trial_server(load_trial(trials, backbone, options), limits, record)
            log.info("trial %s: all policies are loaded", trials)
        host, port = listener.getsockname()[:2]
        place = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("serving at %s", place)
        for page in server.pages:
            log.info("what is due, and what came of it: http://127.0.0.1:%d%s", port, page)
        access = Access(token, address.host, server.pages)
        number = asyncio.run(until_signal(server.http(access), listener))
        server.finish()
        if server.recorder is not None and not server.recorder.close(FINISHING):
            log.warning("%s: some drives are finished when a server records there again", record)
        log.info("the server has ended")
        logging.shutdown()
        # At once: Python would wait for a step that may take seconds, and take down PyTorch.
        os._exit(128 + number)


def _of_policy(
    folder: Path, backbone: Path | None, options: PolicyOptions, limits: Limits, record: Path | None
) -> Server:
    """Load a policy, say which one it is, and return its server."""
    loaded = load_robot_policy(folder, backbone, options)
    server = server_of(loaded, limits, record)
    described = loaded.described
    log.info(
        f"{described.experiment} {described.run}, epoch {described.epoch}, on "
        f"{described.backbone.name} in {loaded.precision}, "
        f"{loaded.policy.device.type} with {torch.get_num_threads()} threads"
    )
    return server


def server_of(loaded: RobotPolicy, limits: Limits, record: Path | None = None) -> Server:
    """Return a server of a policy, which has predicted once.

    Raises:
        UserError: drives cannot be recorded there.
    """
    policy = TorchPolicy(loaded)
    threads = torch.get_num_threads()
    recorder = _recorder(record, policy.recorded)
    server = Server(policy, limits, lambda: torch.set_num_threads(threads), recorder)
    server.model.submit(policy.warm_up).result()
    return server


def trial_server(trial: BlindTrial, limits: Limits, record: Path | None = None) -> Server:
    """Return a server of a trial, each of whose policies has predicted once.

    Raises:
        UserError: drives cannot be recorded there.
    """
    common = trial.common
    facts: dict[str, Any] = {"policy": f"trial {trial.name}"}
    facts |= {"dimensions": common.dimensions, "ahead": common.ahead}
    server = Server(common, limits, recorder=_recorder(record, facts), trial=trial)
    server.model.submit(trial.warm_up).result()
    return server


def _recorder(folder: Path | None, facts: dict[str, Any]) -> Recorder | None:
    if folder is None:
        return None
    try:
        return Recorder(folder, facts, finish_drive)
    except OSError as error:
        raise UserError(
            f"--record {folder}: cannot be written ({error}); name a folder that can"
        ) from None

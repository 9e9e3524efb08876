"""Drives of a trial over HTTP without a robot: the simulator's world, and a script that scores."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.rollout.simulation import ended, frame_of, outcome_of
from mobile_vla.simulator.driver import robot_of
from support.policy_server import Client, png


class TrialServer:
    """A process of ``serve --trials``, and all that it says."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]):
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        self.log: list[str] = []
        while not self.log or not self.log[-1].startswith("what is due"):
            line = self._stderr.readline()
            assert line, "".join(self.log)
            self.log.append(line)
        (port,) = re.findall(r"^serving at http://127\.0\.0\.1:(\d+)", "".join(self.log), re.M)
        self.port = int(port)
        self.reading = threading.Thread(target=lambda: self.log.extend(self._stderr))
        self.reading.start()

    @property
    def _stderr(self) -> Any:
        assert self.process.stderr is not None
        return self.process.stderr

    def __enter__(self) -> TrialServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self.reading.join()


def drive_scene(
    client: Client, ticket: str, episode: SimulateSettings, limit: int, said: list[Any]
) -> str:
    """Drive a simulated scene as the robot's node does, and return the outcome.

    Args:
        client: a connection to the server.
        ticket: of the drive.
        episode: the scene and its side.
        limit: frames until a timeout.
        said: all answers are added to it.
    """
    robot = robot_of(episode)
    said.append(client.reset("robot", None, ticket=ticket))
    status, begun = said[-1]
    assert status == 200, begun
    columns = columns_of(begun["dimensions"])
    due = np.zeros(len(ACTION_COLUMNS), dtype=np.float32)
    for step in range(limit - 1):
        if ended(robot):
            break
        said.append(client.step("robot", step, png(frame_of(robot.scene, robot.pose, Images()))))
        status, answer = said[-1]
        assert status == 200, answer
        predicted = np.zeros_like(due)
        predicted[columns] = answer["actions"][0]
        robot.step(due if begun["ahead"][0] else predicted)
        due = predicted
    return outcome_of(robot, episode)


def leaks(texts: Sequence[str], secrets: Sequence[str]) -> list[str]:
    """Return the secrets that stand in texts."""
    return [secret for secret in secrets if any(secret in text for text in texts)]

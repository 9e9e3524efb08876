"""Drives of a trial over HTTP without a robot: the simulator's world, and a script that scores."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings, World, unseen_episodes
from mobile_vla.config.trials import TrialSettings
from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.driving.simulation import ended, frame_of, outcome_of
from mobile_vla.model.folder import read_description
from mobile_vla.model.policy import Policy
from mobile_vla.simulator.driver import robot_of
from mobile_vla.trials.files import TrialFolder
from mobile_vla.trials.identity import policy_digest
from mobile_vla.trials.ledger import due
from mobile_vla.trials.reading import read_trial
from mobile_vla.trials.result import TrialResult
from mobile_vla.trials.trials import judge
from support.policy_server import Client, png
from support.trials import Page


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


WORLD = World(seed=1, frames=20, variation=2)
"""Another world than the demo's policies were trained in, as a robot's hall is."""
LIMIT = 30  # frames until a timeout


class SimulatedTrial:
    """A trial of a project's policies, scheduled, driven and scored by its commands alone.

    Args:
        project: the folder of config.yaml.
        python: its interpreter.
        name: the trial's.
        policies: EXPERIMENT/RUN of each.
        scenes: of the world, each passed on both sides; one block each.
    """

    def __init__(self, project: Path, python: str, name: str, policies: Sequence[str], scenes: int):
        self.project, self.python, self.name = project, python, name
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(project / "workflow"),
            "OMP_NUM_THREADS": "1",
        }
        self.files = TrialFolder(project / "trials" / name)
        self.policies = tuple(policies)
        self.episodes = unseen_episodes(WORLD, scenes)
        self.said: list[Any] = []
        table = self.files.path / "scenes.csv"
        table.parent.mkdir(parents=True)
        rows = [
            f"{episode},Navigate around the box on the {one.side} side and reach the target\n"
            for episode, one in self.episodes.items()
        ]
        table.write_text("".join(["scene,instruction\n", *rows]))
        config = project / "config.yaml"
        text = config.read_text()
        text += "" if "\ntrials:\n" in text else "\ntrials:\n"
        listed = f"{{policies: [{', '.join(policies)}], scenes: trials/{name}/scenes.csv"
        config.write_text(f"{text}  {name}: {listed}, blocks: {len(rows)}}}\n")
        assert self.run("schedule", name) == 0, self.said

    def run(self, *arguments: str) -> int:
        """Run a command of the project, and return its status."""
        done = subprocess.run(
            [self.python, "-m", "mobile_vla", *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        self.said.append(done.stderr)
        return done.returncode

    def judged(self) -> TrialResult:
        """Return what the drives so far prove."""
        settings = TrialSettings(trial=self.name, policies=self.policies, confidence=0.95)
        return judge(settings, read_trial(self.files.path, self.digests()))

    def digests(self) -> dict[str, str | None]:
        """Return the policies' digests."""
        folder = self.project / "results/experiments"
        return {policy: policy_digest(folder / policy / "policy") for policy in self.policies}

    def drive(self) -> tuple[TrialResult, list[str]]:
        """Drive and score until the pair is decided or the schedule is at its end.

        Returns:
            What was proved, and which names and digests somebody could have read meanwhile.
        """
        command = [self.python, "-m", "mobile_vla", "serve", "--trials", self.name, "--port", "0"]
        with TrialServer(command, self.project, self.environment) as server:
            client, page = Client(server.port), Page(server.port)
            while (row := due(self.files.schedule(), self.files.outcomes())) is not None:
                episode = self.episodes[row.scene]
                page.press(drive_scene(client, row.ticket, episode, LIMIT, self.said))
                if self.judged().pairs[0].better is not None:
                    break
            self.said.append(client.ask("GET", "/health"))
        texts = [json.dumps(self.said), *server.log, *page.seen]
        texts += [path.read_text() for path in self.files.path.iterdir()]
        names = {part for policy in self.policies for part in (policy, policy.partition("/")[0])}
        digests = [digest for digest in self.digests().values() if digest]
        return self.judged(), leaks(texts, [*names, *digests])


def write_twin(policy: Path, twin: Path, backbone: Path) -> None:
    """Write a policy that differs from another by less than it matters.

    Args:
        policy: the other's folder.
        twin: the folder to write.
        backbone: ``backbone.json`` of both.
    """
    checkpoint, described = Checkpoint.read(backbone), read_description(policy)
    made = Policy.from_pretrained(policy, checkpoint, "fp32")
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in made.head.parameters():
            tensor.add_(0.03 * tensor.std() * torch.randn_like(tensor))
    made.save_pretrained(twin, checkpoint, described.origin())

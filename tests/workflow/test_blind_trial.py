"""A blind trial of two trained policies: scheduled, driven over HTTP, scored and unblinded."""

import json
import os
import subprocess
import sys

import pytest

from mobile_vla.config.simulator import World, unseen_episodes
from mobile_vla.trials.files import DRIVES, OUTCOMES, TrialFolder
from mobile_vla.trials.identity import policy_digest
from mobile_vla.trials.reading import read_trial
from support.policy_server import Client
from support.trial_drives import TrialServer, drive_scene, leaks
from support.trials import Page, next_of

POLICIES = ("lora/seed0", "head_only/seed0")
TRIAL = """
trials:
  hall: {policies: [lora/seed0, head_only/seed0], scenes: scenes.csv, blocks: 2}
"""


@pytest.fixture
def environment(copied):
    return {**os.environ, "PYTHONPATH": str(copied.folder / "workflow")}


@pytest.fixture
def run(copied, environment):
    """Run a command of the project, and return its status and what it said."""

    def run(*arguments):
        done = subprocess.run(
            [copied.python, "-m", "mobile_vla", *arguments],
            cwd=copied.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    return run


def test_a_trial_from_its_schedule_to_its_names(copied, environment, run):
    world = World(seed=9, frames=15)
    episodes = unseen_episodes(world, 1)
    lines = [f"{name},pass on the {one.side}" for name, one in episodes.items()]
    (copied.folder / "scenes.csv").write_text("\n".join(["scene,instruction", *lines, ""]))
    copied.config += TRIAL
    said = [run("schedule", "hall")]
    assert said[-1][0] == 0, said
    files = TrialFolder(copied.folder / "trials/hall")
    digests = {
        policy: policy_digest(copied.folder / "results/experiments" / policy / "policy")
        for policy in POLICIES
    }
    command = [sys.executable, "-m", "mobile_vla", "serve", "--trials", "hall", "--port", "0"]
    with TrialServer(command, copied.folder, environment) as server:
        client, page = Client(server.port), Page(server.port)
        said.append(client.ask("GET", "/health"))
        for number in range(4):
            row = next_of(files)
            outcome = drive_scene(client, row.ticket, episodes[row.scene], 4, said)
            if number == 0:
                page.press(outcome)
            else:
                said.append(run("score", row.ticket, outcome))
                assert said[-1][0] == 0, said[-1]
        said.append(client.ask("GET", "/health"))
        assert "All drives of the schedule are scored" in page.shown()
        status, message = run("unblind", "hall")
        assert status == 1 and "another server drives this trial" in message
    written = [path.read_text() for path in files.path.iterdir()]
    secrets = [*POLICIES, "lora", "head_only", *digests.values()]
    assert leaks([json.dumps(said), *server.log, *page.seen, *written], secrets) == []
    assert len(files.lines(DRIVES)) == len(files.lines(OUTCOMES)) == 4
    trial = read_trial(files.path, digests)
    assert trial.drives == 4 and trial.left_out == []
    assert all(block.complete for block in trial.blocks)
    status, message = run("unblind", "hall")
    assert status == 0 and all(policy in message for policy in POLICIES)

"""Trials without a robot: scheduled, driven and scored by the project's code, in milliseconds."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from mobile_vla.robot.blind import BlindTrial, alike
from mobile_vla.trials.files import SCHEDULE, TrialFolder, now, row_of
from mobile_vla.trials.ledger import Ledger, due, judge
from mobile_vla.trials.records import LETTERS, Key, Scheduled
from mobile_vla.trials.schedule import drawn
from support.config_text import BASE
from support.numpy_server import PROMPTS, NumpyPolicy

POLICIES = ("lora/seed0", "head_only/seed0")
CONFIG = f"""{BASE}
  head_only: {{finetune: none}}
trials:
  hall: {{policies: [lora/seed0, head_only/seed0], scenes: scenes.csv, blocks: 5}}
"""
DIGESTS: dict[str, str | None] = {name: f"digest of {name}" for name in POLICIES}
SCENES = [{"scene": f"hall {number}", "instruction": PROMPTS[0]} for number in range(3)]


def scheduled(
    folder: Path, blocks: int = 3, policies: Sequence[str] = POLICIES, seed: int = 0
) -> TrialFolder:
    """Write schedule and key of a trial."""
    files, draw = TrialFolder(folder), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    letters = dict(zip(draw.sample(policies, len(policies)), LETTERS, strict=False))
    part, rows = drawn(policies, SCENES, [], blocks, draw)
    files.write_key(Key(letters=letters, parts=(part,)))
    files.append(SCHEDULE, [row_of(row) for row in rows])
    return files


def next_of(files: TrialFolder) -> Scheduled:
    """Return the drive that is due."""
    row = due(files.schedule(), files.outcomes())
    assert row is not None
    return row


def drive(
    files: TrialFolder,
    outcomes: Sequence[str | None],
    digests: Mapping[str, str | None] = DIGESTS,
) -> list[str]:
    """Drive what is due, with these outcomes; return the tickets. Void ones are the robot's."""
    ledger = Ledger(files, {name: digest or "" for name, digest in digests.items()})
    tickets = []
    for outcome in outcomes:
        ticket = next_of(files).ticket
        ledger.begin(ticket)
        ledger.end(now(), 7, "scored")
        if outcome is not None:
            judge(files, ticket, outcome, "robot" if outcome == "void" else None)
        tickets.append(ticket)
    ledger.close()
    return tickets


def edit(files: TrialFolder, name: str, old: str, new: str, count: int = 1) -> None:
    """Change a file by hand."""
    path = files.path / name
    text = path.read_text()
    assert text.count(old) >= count
    path.write_text(text.replace(old, new, count))


def add(files: TrialFolder, name: str, row: str) -> None:
    """Append a row by hand."""
    with (files.path / name).open("a") as file:
        file.write(row + "\n")


class Steered(NumpyPolicy):
    """Some numpy that may drive the other way."""

    def __init__(self, sign: int):
        super().__init__()
        self.sign = sign

    def warm_up(self) -> None:
        """Do nothing."""

    def step(self, state: Any, frame: np.ndarray) -> np.ndarray:
        """Return (2, 2) float32."""
        chunk: np.ndarray = self.sign * super().step(state, frame)
        return chunk


def numpy_trial(files: TrialFolder) -> BlindTrial:
    """Return a trial whose policies are some numpy: the second drives the other way."""
    ledger = Ledger(files, {name: digest or "" for name, digest in DIGESTS.items()})
    steered: Any = {name: (Steered(sign), 1) for name, sign in zip(POLICIES, (1, -1), strict=True)}
    return BlindTrial("hall", ledger, alike(steered, "config.yaml"))


class Page:
    """The trial's page, as a browser on the server's machine opens it."""

    def __init__(self, port: int):
        self.port, self.origin = port, f"http://127.0.0.1:{port}"
        self.seen: list[str] = []

    def ask(self, method: str, body: str | None = None, **headers: str) -> tuple[int, str]:
        """Return the status and the text of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, "/trial", body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        self.seen.append(text)
        return response.status, text

    def shown(self) -> str:
        """Return the page."""
        status, text = self.ask("GET")
        assert status == 200, text
        return text

    def press(self, outcome: str, **fields: str) -> str:
        """Press one of the buttons, and return the page that follows."""
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', self.shown()))
        form = urlencode({**hidden, "note": "", "outcome": outcome, **fields})
        status, text = self.ask("POST", form, Origin=self.origin)
        assert status == 200, text
        return text

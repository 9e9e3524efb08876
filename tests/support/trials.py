"""Trials without a robot: scheduled, driven and scored by the project's code, in milliseconds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from mobile_vla.trials.files import SCHEDULE, TrialFolder, now, row_of
from mobile_vla.trials.ledger import Ledger, due, judge
from mobile_vla.trials.records import LETTERS, Key, Scheduled
from mobile_vla.trials.schedule import drawn

POLICIES = ("lora/seed0", "head_only/seed0")
DIGESTS: dict[str, str | None] = {name: f"digest of {name}" for name in POLICIES}
SCENES = [{"scene": f"hall {number}", "instruction": "Go left"} for number in range(3)]


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

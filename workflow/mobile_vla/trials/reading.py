"""Read a trial: what came of every drive, and what does not count, each with the reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import ValidationError

from mobile_vla.errors import NAMED
from mobile_vla.sentence import Sentence, first_of, say, verbatim
from mobile_vla.trials.files import DRIVES, OUTCOMES, TrialFolder, cells_of, said
from mobile_vla.trials.identity import check_distinct
from mobile_vla.trials.records import (
    Driven,
    Fixed,
    Judged,
    Key,
    Outcome,
    Scheduled,
    line_digest,
    short_digest,
)

State = Literal["scored", "due", "unscored", "missing", "conflict", "late", "edited", "earlier"]
Kind = Literal[
    "duplicate",
    "conflict",
    "void",
    "missing",
    "unscored",
    "late",
    "edited",
    "earlier",
    "unknown",
]

R = TypeVar("R", Driven, Judged)


@dataclass(frozen=True)
class PolicyOutcome:
    """What came of a policy in a block."""

    policy: str
    """EXPERIMENT/RUN."""
    state: State
    """``scored``, ``due`` or ``unscored``; else why what there is does not count."""
    outcome: Outcome | None = None
    """Of a scored one."""
    begun: datetime | None = None
    """When its drive began, UTC."""
    voids: int = 0
    """How many of its drives were void, and driven again."""


@dataclass(frozen=True)
class Block:
    """A scene that every policy of a trial drives once."""

    number: int
    scene: str
    cells: dict[str, PolicyOutcome]
    """By policy."""

    @property
    def complete(self) -> bool:
        """Whether all its drives count."""
        return all(cell.state == "scored" for cell in self.cells.values())


@dataclass(frozen=True)
class LeftOutRows:
    """Rows that do not count, or count once; the sentence names no policy."""

    kind: Kind
    count: int
    sentence: Sentence


@dataclass(frozen=True)
class DrivenTrial:
    """A trial as far as it was driven."""

    blocks: list[Block]
    """All that are scheduled; what was not driven is ``due``."""
    letters: dict[str, str]
    """A, B, … by policy, in random order."""
    left_out: list[LeftOutRows]
    unblinded: datetime | None
    drives: int
    """Drives whose outcome counts."""
    versions: dict[str, int]
    """By policy, how many versions of it drove, today's included whether or not it did."""


@dataclass
class _Rows(Generic[R]):
    """What the rows of a file say of each ticket, and what is wrong with some of them."""

    name: str
    of: dict[str, R] = field(default_factory=dict)
    wrong: dict[str, State] = field(default_factory=dict)
    """By ticket, why nothing of it counts."""
    left_out: list[LeftOutRows] = field(default_factory=list)

    def leave_out(self, kind: Kind, listed: Sequence[Sentence | str], why: Sentence) -> None:
        """Note rows that do not count: which, by ticket or in words, and why."""
        count = len(listed)
        if count:
            rows = say("{n} row", n=1) if count == 1 else say("{n} rows", n=count)
            which = _joined(listed)
            text = say(
                "{file}: {why} ({rows}: {which})", file=self.name, why=why, rows=rows, which=which
            )
            self.left_out.append(LeftOutRows(kind, count, text))


def read_trial(folder: Path, policies: Mapping[str, str | None]) -> DrivenTrial:
    """Return what came of a trial's drives.

    Args:
        folder: such as ``trials/hall``.
        policies: by EXPERIMENT/RUN the digest of the policy as it is today
            (:func:`~mobile_vla.trials.identity.policy_digest`); None where there is none. Drives of
            a policy with another digest are of an earlier version.

    Raises:
        UserError: schedule or key are missing or were changed; or two names are one policy.
    """
    files = TrialFolder(folder)
    check_distinct(policies, str(folder))
    with files.locked(shared=True):
        schedule, key, unblinded = files.schedule(), files.key(), files.unblinded()
        lines = {name: files.lines(name) for name in (DRIVES, OUTCOMES)}
    tickets = {row.ticket for row in schedule}
    driven = _driven(
        lines[DRIVES], schedule[0].key, tickets, unblinded.drives if unblinded else None
    )
    judged = _judged(lines[OUTCOMES], tickets, unblinded.outcomes if unblinded else None)
    names = key.policies
    found = {
        row.ticket: _cell(row, names[row.ticket], key, driven, judged, policies) for row in schedule
    }
    void = [
        row
        for row in schedule
        if row.ticket in judged.of
        and row.ticket not in judged.wrong
        and judged.of[row.ticket].outcome == "void"
    ]
    voids = Counter((row.block, row.position) for row in void)
    blocks: dict[int, Block] = {}
    for row in schedule:  # of rows at one place the last is the drive that stands
        cell = replace(found[row.ticket], voids=voids[row.block, row.position])
        blocks.setdefault(row.block, Block(row.block, row.scene, {})).cells[cell.policy] = cell
    stands = [cell for number in sorted(blocks) for cell in blocks[number].cells.values()]
    return DrivenTrial(
        blocks=[blocks[number] for number in sorted(blocks)],
        letters=dict(key.letters),
        left_out=[
            *driven.left_out,
            *judged.left_out,
            *_void(Counter(judged.of[row.ticket].reason for row in void)),
            *_uncounted(Counter(cell.state for cell in stands)),
        ],
        unblinded=unblinded.unblinded if unblinded else None,
        drives=sum(cell.state == "scored" for cell in stands),
        versions={
            name: len(
                {digest for digest in (*key.versions.get(name, ()), policies.get(name)) if digest}
            )
            for name in key.letters
        },
    )


def _cell(
    row: Scheduled,
    name: str,
    key: Key,
    driven: _Rows[Driven],
    judged: _Rows[Judged],
    policies: Mapping[str, str | None],
) -> PolicyOutcome:
    """Return what came of one ticket, which stands for the policy of that name."""
    drive, said_of = driven.of.get(row.ticket), judged.of.get(row.ticket)
    begun = drive.begun if drive else None
    wrong = driven.wrong.get(row.ticket) or judged.wrong.get(row.ticket)
    if wrong is not None:
        return PolicyOutcome(name, wrong, begun=begun)
    if said_of is not None and said_of.outcome == "void":
        return PolicyOutcome(name, "due")  # until the row that takes its place
    if drive is None:
        return PolicyOutcome(name, "due" if said_of is None else "missing")
    today = policies.get(name)
    if today is None or drive.policy != key.salted(row.ticket, today):
        return PolicyOutcome(name, "earlier", begun=begun)
    if said_of is None:
        return PolicyOutcome(name, "unscored", begun=begun)
    assert said_of.outcome != "void"
    return PolicyOutcome(name, "scored", said_of.outcome, begun)


def _driven(
    lines: Sequence[str], first: str, tickets: set[str], fixed: Fixed | None
) -> _Rows[Driven]:
    """Read ``drives.jsonl``: each line is vouched for by the digest that the next one holds."""
    rows, on_time = _Rows[Driven](DRIVES), _OnTime(fixed)
    edited: list[Sentence] = []
    broken: list[str] = []  # tickets
    unknown: list[Sentence] = []
    twice: list[str] = []
    late: list[str] = []
    previous = first
    for number, line in enumerate(lines, start=1):
        drive: Driven | None = None
        try:
            drive = Driven.model_validate_json(line)
        except ValidationError as error:
            edited.append(say("line {n} {fault}", n=number, fault=said(error)))
            broken.append(_ticket_in(line))
        if drive is not None and drive.previous != previous:
            # What it followed is not there any more: the line before was changed, or is gone.
            edited.append(
                say("line {n} followed another than line {before}", n=number, before=number - 1)
            )
            broken.append(_ticket_in(lines[number - 2]) if number > 1 else drive.ticket)
        previous = line_digest(line)
        if drive is None:
            continue
        if drive.ticket not in tickets:
            unknown.append(_in_line(drive.ticket, number))
        elif not on_time.has(line):
            late.append(drive.ticket)
        elif drive.ticket in rows.of:
            twice.append(drive.ticket)
        else:
            rows.of[drive.ticket] = drive
    rows.wrong |= {ticket: "late" for ticket in late if ticket not in rows.of}
    rows.wrong |= dict.fromkeys(twice, "conflict")
    rows.wrong |= dict.fromkeys(broken, "edited")
    rows.leave_out("edited", edited, say("a line was changed, removed or put in between"))
    rows.leave_out("unknown", unknown, say("the ticket is not in SCHEDULE.csv"))
    rows.leave_out("conflict", twice, say("a ticket that drove twice does not count"))
    rows.leave_out("late", late, LATE)
    rows.leave_out("edited", on_time.gone, GONE)
    return rows


def _judged(lines: Sequence[str], tickets: set[str], fixed: Fixed | None) -> _Rows[Judged]:
    """Read ``outcomes.csv``: rows that say the same of a drive count once."""
    rows, on_time = _Rows[Judged](OUTCOMES), _OnTime(fixed)
    edited: list[Sentence] = []
    unknown: list[Sentence] = []
    again: list[str] = []
    late: list[str] = []
    conflicts: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=2):
        try:
            row = Judged.model_validate(cells_of(line, Judged))
        except ValueError as error:
            edited.append(say("line {n} {fault}", n=number, fault=said(error)))
            continue
        before = rows.of.get(row.ticket)
        if row.ticket not in tickets:
            unknown.append(_in_line(row.ticket, number))
        elif not on_time.has(line):
            late.append(row.ticket)
        elif before is None:
            rows.of[row.ticket] = row
        elif (before.outcome, before.reason) == (row.outcome, row.reason):
            again.append(row.ticket)
        else:
            conflicts.setdefault(row.ticket, [before.outcome]).append(row.outcome)
    rows.wrong |= {ticket: "late" for ticket in late if ticket not in rows.of}
    rows.wrong |= dict.fromkeys(conflicts, "conflict")
    listed = [
        say("{ticket} is {outcomes}", ticket=ticket, outcomes=", ".join(outcomes))
        for ticket, outcomes in conflicts.items()
    ]
    rows.leave_out("edited", edited, say("not as `score` writes a row"))
    rows.leave_out("unknown", unknown, say("the ticket is not in SCHEDULE.csv"))
    rows.leave_out("duplicate", again, say("an outcome that stands twice counts once"))
    rows.leave_out("conflict", listed, say("outcomes that contradict each other do not count"))
    rows.leave_out("late", late, LATE)
    rows.leave_out("edited", on_time.gone, GONE)
    return rows


LATE = say("what came, or was changed, after the names were told does not count")
GONE = say("there when the names were told, and not any more, by digest")


class _OnTime:
    """Knows the rows that there were when the trial was unblinded."""

    def __init__(self, fixed: Fixed | None):
        self.left = None if fixed is None else Counter(fixed.each)

    def has(self, row: str) -> bool:
        """Whether a row was there; each is asked for once."""
        if self.left is None:
            return True
        digest = short_digest(row)
        if self.left[digest] == 0:
            return False
        self.left[digest] -= 1
        return True

    @property
    def gone(self) -> list[str]:
        """Digests of the rows that were not asked for."""
        return [] if self.left is None else sorted(self.left.elements())


def _void(reasons: Mapping[str, int]) -> Iterator[LeftOutRows]:
    count = sum(reasons.values())
    if count:
        each = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        why = say("void ({reasons}), driven again within the block", reasons=each)
        yield LeftOutRows("void", count, _drives(count, why))


def _uncounted(states: Counter[State]) -> Iterator[LeftOutRows]:
    """Yield why drives do not count that nothing was said of yet."""
    whys: dict[Literal["earlier", "missing", "unscored"], Sentence] = {
        "earlier": say("of an earlier version of the policy, which was trained again since"),
        "missing": say("with an outcome and without a line in drives.jsonl"),
        "unscored": say("without an outcome so far"),
    }
    for state, why in whys.items():
        if states[state]:
            yield LeftOutRows(state, states[state], _drives(states[state], why))


def _drives(count: int, why: Sentence) -> Sentence:
    """Return how many drives do not count, and why."""
    if count == 1:
        return say("{n} drive {why}", n=1, why=why)
    return say("{n} drives {why}", n=count, why=why)


def _in_line(ticket: str, number: int) -> Sentence:
    return say("{ticket} in line {n}", ticket=repr(ticket[:20]), n=number)


def _joined(listed: Sequence[Sentence | str]) -> Sentence:
    """Return the first of a list in a row, and how many more there are."""
    joined, *others = (verbatim(one) if isinstance(one, str) else one for one in listed[:NAMED])
    for other in others:
        joined = say("{first}, {other}", first=joined, other=other)
    return first_of(len(listed) - len(listed[:NAMED]) + 1, joined)


def _ticket_in(line: str) -> str:
    """Return the ticket of a line that may not be whole."""
    found = re.search(r'"ticket": ?"(\w+)"', line)
    return found[1] if found else ""

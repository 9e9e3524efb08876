"""Which drive of a trial is due, and what is written of it: one drive after another, none twice."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from mobile_vla.errors import UserError
from mobile_vla.files import read_json, write_json
from mobile_vla.locks import lock
from mobile_vla.trials.files import (
    DRIVES,
    DRIVING,
    OUTCOMES,
    SCHEDULE,
    TrialFolder,
    now,
    row_of,
)
from mobile_vla.trials.records import (
    ENDS,
    REASONS,
    Driven,
    Ending,
    Judged,
    KeyPart,
    Record,
    Scheduled,
    line_digest,
)

log = logging.getLogger(__name__)

SYMBOLS = "34679ACDEFHJKMNPQRTWXY"  # without those that are read for others
LENGTH = 8
KILLED: tuple[datetime | None, int | None, Ending] = None, None, "server_killed"
LONGEST_NOTE = 500  # characters


class Begun(Record):
    """``driving.json``: the drive under way, which a server that was killed leaves behind."""

    ticket: str
    policy: str
    begun: datetime


def new_ticket() -> str:
    """Return a random ticket."""
    return "".join(secrets.choice(SYMBOLS) for _ in range(LENGTH))


def due(schedule: Sequence[Scheduled], outcomes: Mapping[str, str]) -> Scheduled | None:
    """Return the drive that comes next: the first without an outcome; None after the last."""
    left = [row for row in schedule if row.ticket not in outcomes]
    return min(left, key=lambda row: (row.block, row.position), default=None)


def begun_tickets(files: TrialFolder) -> set[str]:
    """Return the tickets that drove, or drive now."""
    found = set()
    for line in files.lines(DRIVES):
        try:
            found.add(json.loads(line)["ticket"])
        except (KeyError, TypeError, ValueError):
            continue  # `read_trial` lists it
    under_way = _under_way(files)
    return found | ({under_way.ticket} if under_way else set())


def judge(
    files: TrialFolder,
    ticket: str,
    outcome: str,
    reason: str | None = None,
    note: str | None = None,
) -> Scheduled | None:
    """Write what came of a drive; a void one gets another ticket at its place.

    Returns:
        The drive that is due now; None after the last.

    Raises:
        UserError: the ticket did not drive, has another outcome, or the words are not known.
    """
    try:
        row = Judged.model_validate(
            {
                "ticket": ticket,
                "outcome": outcome,
                "reason": reason or "",
                "note": " ".join((note or "").split())[:LONGEST_NOTE],
                "scored": now(),
            }
        )
    except ValidationError:
        raise UserError(
            f"found {outcome!r}{f' for the reason {reason!r}' if reason else ''}, expected one of "
            f"{', '.join(ENDS)}; of void the reason is one of {', '.join(REASONS)}"
        ) from None
    if (outcome == "void") != bool(reason):
        raise UserError(
            f"found {outcome!r} {'with' if reason else 'without'} a reason; a void drive, and no "
            f"other, has one of {', '.join(REASONS)}. A fault of the policy and an emergency stop "
            "are failures"
        )
    with files.locked():
        schedule, outcomes = files.schedule(), files.outcomes()
        place = next((one for one in schedule if one.ticket == ticket), None)
        if place is None:
            raise UserError(f"{files.path / SCHEDULE}: has no ticket {ticket[:40]!r}")
        if ticket not in begun_tickets(files):
            after = due(schedule, outcomes)
            raise UserError(
                f"{ticket} has not driven yet; expected a drive that took place. What is due is "
                f"{after.ticket if after else 'nothing'}"
            )
        if outcomes.get(ticket, outcome) != outcome:
            raise UserError(
                f"{ticket} is scored as {outcomes[ticket]} already, and an outcome is never "
                "changed. If that was a slip, add the right row to outcomes.csv by hand: a drive "
                "whose outcomes contradict each other is left out and listed"
            )
        if ticket not in outcomes:
            files.append(OUTCOMES, [row_of(row)])
            outcomes[ticket] = outcome
        return due(_with_redrives(files, schedule, outcomes), outcomes)


def _with_redrives(
    files: TrialFolder, schedule: list[Scheduled], outcomes: Mapping[str, str]
) -> list[Scheduled]:
    """Give every void drive another ticket at its place, if it has none yet."""
    standing = {(row.block, row.position): row for row in schedule}  # the last at each place
    for row in standing.values():
        if outcomes.get(row.ticket) != "void":
            continue
        key = files.key()
        ticket = new_ticket()
        part = KeyPart(salt=secrets.token_hex(16), policies={ticket: key.policies[row.ticket]})
        again = row.model_copy(update={"ticket": ticket})
        again = again.model_copy(update={"key": part.digest([again])})
        # The key first: a ticket that no row has does no harm, and a row without a key would.
        files.write_key(key.model_copy(update={"parts": (*key.parts, part)}))
        files.append(SCHEDULE, [row_of(again)])
        schedule = [*schedule, again]
    return schedule


class Ledger:
    """The trial that a server drives: no other server may drive it meanwhile.

    Args:
        files: the trial's folder.
        digests: of the policies, by EXPERIMENT/RUN.

    Raises:
        UserError: another server drives it, or it is unblinded; or its files were changed.
    """

    def __init__(self, files: TrialFolder, digests: Mapping[str, str]):
        self.files, self.digests = files, dict(digests)
        self.open: Begun | None = None
        self.ended = KILLED
        files.key()
        if files.unblinded() is not None:
            raise UserError(
                f"{files.path}: the names were told; drives that come now do not count. Schedule a "
                "trial of another name"
            )
        self._held = os.open(files.path / SCHEDULE, os.O_RDONLY | os.O_CLOEXEC)
        held = lock(self._held)
        if held is None:
            log.warning(
                "%s: this file system has no locks, so nothing keeps another server from driving "
                "the same trial: see that there is none",
                files.path,
            )
        elif not held:
            os.close(self._held)
            raise UserError(f"{files.path}: another server drives this trial; end it first")
        with files.locked():
            left = _under_way(files)
            if left is not None:  # of a server that was killed
                self._write(left, *KILLED)
                log.warning("the drive of %s was under way when a server was killed", left.ticket)

    def close(self) -> None:
        """Let other servers drive the trial."""
        os.close(self._held)

    def state(self) -> tuple[Scheduled | None, bool]:
        """Return the drive that is due, and whether it drove, so that its outcome is wanted."""
        with self.files.locked():
            schedule, outcomes = self.files.schedule(), self.files.outcomes()
            row = due(_with_redrives(self.files, schedule, outcomes), outcomes)
            return row, row is not None and row.ticket in begun_tickets(self.files)

    def admit(self, ticket: str) -> tuple[str, Scheduled]:
        """Return which policy a ticket stands for, and its row.

        Raises:
            UserError: another ticket is due; or it drove and has no outcome.
        """
        row, drove = self.state()
        if row is None or row.ticket != ticket:
            raise UserError(
                f"the ticket {ticket[:40]!r} is not due; expected "
                + (f"{row.ticket}, scene {row.scene!r}" if row else "none: all drives are scored")
            )
        if drove:
            raise UserError(
                f"{ticket} drove and has no outcome: say it on the server's page, or by "
                f"`python -m mobile_vla score {ticket} …`; then the next drive begins"
            )
        return self.files.key().policies[ticket], row

    def begin(self, ticket: str) -> None:
        """Note that a drive begins, before the robot moves.

        Raises:
            UserError: as :meth:`admit`.
        """
        name, _ = self.admit(ticket)
        self._finish()  # the drive before, where its line could not be written
        with self.files.locked():
            key = self.files.key()
            policy = key.salted(ticket, self.digests[name])
            begun = Begun(ticket=ticket, policy=policy, begun=now())
            if (noted := key.with_version(name, self.digests[name])) is not key:
                self.files.write_key(noted)
            write_json(self.files.path / DRIVING, begun.model_dump(mode="json"))
        self.open = begun

    def end(self, ended: datetime, steps: int, ending: Ending) -> None:
        """Write the line of the drive under way; where that fails, the next drive tries again."""
        begun = self.open.begun if self.open is not None else ended
        self.ended = max(ended, begun), steps, ending
        self._finish()

    def _finish(self) -> None:
        if self.open is not None:
            with self.files.locked():
                ended, steps, ending = self.ended
                if self.open.ticket in self.files.outcomes():
                    ending = "scored"
                self._write(self.open, ended, steps, ending)
            self.open, self.ended = None, KILLED

    def _write(
        self, begun: Begun, ended: datetime | None, steps: int | None, ending: Ending
    ) -> None:
        lines = self.files.lines(DRIVES)
        if any(f'"{begun.ticket}"' in line for line in lines):  # it was killed after the line
            (self.files.path / DRIVING).unlink(missing_ok=True)
            return
        previous = line_digest(lines[-1]) if lines else self.files.schedule()[0].key
        driven = Driven(
            **begun.model_dump(), ended=ended, steps=steps, ending=ending, previous=previous
        )
        self.files.append(DRIVES, [json.dumps(driven.model_dump(mode="json"))])
        (self.files.path / DRIVING).unlink(missing_ok=True)


def _under_way(files: TrialFolder) -> Begun | None:
    path = files.path / DRIVING
    return Begun.model_validate(read_json(path)) if path.is_file() else None

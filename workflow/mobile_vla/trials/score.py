"""Say what came of a drive of a trial."""

from __future__ import annotations

import logging

from mobile_vla.errors import UserError
from mobile_vla.trials.files import FOLDER, SCHEDULE, TrialFolder
from mobile_vla.trials.ledger import judge
from mobile_vla.trials.records import Scheduled

log = logging.getLogger(__name__)


def score(ticket: str, outcome: str, *, reason: str | None = None, note: str | None = None) -> None:
    """Note what came of a drive; the next one begins only then. It is never changed.

    An emergency stop and a fault of the policy are failures: collision, wrong_side or timeout. A
    drive is void where robot, network or scene failed, and is driven again with another ticket.

    Args:
        ticket: of the drive.
        outcome: success, collision, wrong_side, timeout or void.
        reason: why it is void: robot, network or scene.
        note: what else is to be remembered.

    Raises:
        UserError: no trial has the ticket; it did not drive; or it has another outcome.
    """
    ticket = ticket.strip().upper()
    folders = [TrialFolder(path.parent) for path in sorted(FOLDER.glob(f"*/{SCHEDULE}"))]
    for files in folders:
        if any(row.ticket == ticket for row in files.schedule()):
            following = judge(files, ticket, outcome, reason, note)
            log.info("%s: %s. %s", ticket, outcome, next_drive(following))
            return
    known = ", ".join(str(files.path) for files in folders) or f"there is none in {FOLDER}"
    raise UserError(f"no trial has the ticket {ticket[:40]!r}: {known}")


def next_drive(row: Scheduled | None) -> str:
    """Return which drive is due in a sentence."""
    if row is None:
        return "All drives of the schedule are scored"
    return (
        f"Next: block {row.block}, scene {row.scene}, ticket {row.ticket}, "
        f"instruction {row.instruction!r}"
    )

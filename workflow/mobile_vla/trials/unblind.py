"""Tell the names of a trial's policies, and note which rows there were before."""

from __future__ import annotations

import logging

from mobile_vla.errors import UserError
from mobile_vla.files import write_json
from mobile_vla.trials.files import DRIVES, FOLDER, OUTCOMES, UNBLINDED, TrialFolder, now
from mobile_vla.trials.ledger import Ledger, begun_tickets
from mobile_vla.trials.records import Fixed, Unblinded

log = logging.getLogger(__name__)


def unblind(trial: str) -> None:
    """Tell which letter is which policy. Rows that come or change afterwards do not count.

    Args:
        trial: its name; its files lie in trials/TRIAL.

    Raises:
        UserError: there is no such trial, a server drives it, or a drive has no outcome.
    """
    files = TrialFolder(FOLDER / trial)
    if not files.path.is_dir():
        raise UserError(f"{files.path}: not there; `schedule {trial}` makes it")
    if files.unblinded() is None:
        ledger = Ledger(files, {})  # no server drives meanwhile, and every drive has its line
        try:
            _fix(files)
        finally:
            ledger.close()
    for policy, letter in sorted(files.key().letters.items(), key=lambda item: item[1]):
        log.info("%s is %s", letter, policy)
    log.info("commit %s: drives and outcomes that come from now on do not count", files.path)


def _fix(files: TrialFolder) -> None:
    """Note which rows there are."""
    with files.locked():
        if not files.lines(DRIVES):
            raise UserError(f"{files.path}: nothing was driven; there is nothing to tell apart yet")
        unscored = sorted(begun_tickets(files) - files.outcomes().keys())
        if unscored:
            raise UserError(
                f"{files.path}: {', '.join(unscored)} drove and has no outcome; `score` it first: "
                "afterwards it would not count"
            )
        fixed = Unblinded(
            unblinded=now(),
            drives=Fixed.of(files.lines(DRIVES)),
            outcomes=Fixed.of(files.lines(OUTCOMES)),
        )
        write_json(files.path / UNBLINDED, fixed.model_dump(mode="json"))

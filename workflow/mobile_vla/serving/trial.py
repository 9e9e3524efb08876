"""A blind trial as the server sees it, and its page: what is due, and what came of the last drive.

Nothing here knows a policy's name.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from html import escape
from typing import Any, Mapping, Protocol
from urllib.parse import parse_qsl

from mobile_vla.serving.requests import ResetRequest
from mobile_vla.serving.web import Page, RequestError

PATH = "/trial"
FORM_BYTES = 1 << 14
ENDS = {
    "success": "it arrived on the side that was asked for",
    "collision": "it touched something",
    "wrong_side": "it passed on the other side",
    "timeout": "neither, in the time; or an emergency stop",
    "void": "robot, network or scene failed",
}
REASONS = ("robot", "network", "scene")


@dataclass(frozen=True)
class Due:
    """The drive of a trial that is due."""

    ticket: str
    block: int
    scene: str
    instruction: str
    drove: bool
    """Whether it drove, so that its outcome is wanted."""


class RefusedError(Exception):
    """A trial refuses something; the message says what to do."""


class ServedTrial(Protocol):
    """What is asked of a trial. All calls come from one thread."""

    name: str

    def due(self) -> Due | None:
        """Return what is due; None where all is driven."""

    def admit(self, ticket: str) -> tuple[Any, str]:
        """Return the policy of a ticket, and its instruction; or refuse it."""

    def begin(self, ticket: str) -> None:
        """Note that a drive begins; ``RefusedError`` where it is not due any more."""

    def end(self, steps: int, seconds: float, ending: str) -> None:
        """Note that the drive has ended, ``seconds`` ago."""

    def score(self, ticket: str, outcome: str, reason: str | None, note: str) -> None:
        """Note what came of a drive; ``RefusedError`` for what cannot be."""


def admitted(trial: ServedTrial, given: ResetRequest) -> tuple[Any, str]:
    """Return the policy of a reset's ticket, and the instruction of the schedule.

    Raises:
        RequestError: there is no ticket, it is not due, or the instruction is another.
    """
    if given.ticket is None:
        message = "a trial is served: begin with the `ticket` of the drive that is due"
        raise RequestError(422, "no_ticket", message)
    try:
        policy, instruction = trial.admit(given.ticket)
    except RefusedError as error:
        raise RequestError(409, "not_due", str(error)) from None
    if given.instruction not in (None, instruction):
        message = f"found {given.instruction!r}, expected {instruction!r}, or no instruction"
        raise RequestError(422, "unusable", message)
    return policy, instruction


class TrialPage:
    """The page with five large buttons. Only forms that it made itself are taken."""

    def __init__(self, trial: ServedTrial):
        self.trial, self.secret, self.last = trial, secrets.token_hex(16), ""

    def taken(self, body: bytes) -> Mapping[str, str]:
        """Return what a form says.

        Raises:
            RequestError: it is not the page's.
        """
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=10)
        except (UnicodeDecodeError, ValueError):
            pairs = []
        form = dict(pairs)
        if not hmac.compare_digest(form.get("secret", "").encode(), self.secret.encode()):
            raise RequestError(403, "browser", f"not a form of this page; open {PATH} again")
        return form

    def shown(self, said: str = "", wrong: bool = False) -> Page:
        """Return the page, with what became of the last form; a success stays until the next."""
        if said and not wrong:
            self.last = said
        try:
            due = self.trial.due()
        except RefusedError as error:  # its files were changed
            due, said, wrong = None, str(error), True
        refresh, main = "", "<h1>Nothing is due</h1>"
        if due is None:
            said = said or "All drives of the schedule are scored."
        elif due.drove:
            main = _buttons(due, self.secret)
        else:
            said = said or self.last
            refresh = f'<meta http-equiv="refresh" content="2;url={PATH}">'
            main = f"<h1>Next: {_ticket(due)}</h1>{_place(due)}<p>{START}</p>"
        if said:
            kind = "said wrong" if wrong else "said"
            main = f'<p class="{kind}" role="status">{escape(said)}</p>{main}'
        name = escape(self.trial.name)
        return Page(
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{refresh}'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>Trial {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"<header>Trial {name}</header>\n<main>{main}</main>\n</body>\n</html>\n"
        )


def _ticket(due: Due) -> str:
    return f'<span class="ticket">{escape(due.ticket)}</span>'


def _place(due: Due) -> str:
    return (
        f"<dl><dt>block</dt><dd>{due.block}</dd><dt>scene</dt><dd>{escape(due.scene)}</dd>"
        f"<dt>instruction</dt><dd>{escape(due.instruction)}</dd></dl>"
    )


def _buttons(due: Due, secret: str) -> str:
    """Return the form that asks what came of a drive."""
    buttons = "".join(
        f'<button class="{end}" name="outcome" value="{end}" accesskey="{key}">'
        f"<b>{end.replace('_', ' ')}</b><span>{meaning}</span></button>"
        for key, (end, meaning) in enumerate(ENDS.items(), start=1)
    )
    reasons = "".join(
        f'<label><input type="radio" name="reason" value="{one}"> {one}</label>' for one in REASONS
    )
    return (
        f"<h1>What came of {_ticket(due)}?</h1>{_place(due)}"
        f'<form method="post" action="{PATH}" autocomplete="off">'
        # Enter in a field presses the first button of a form: this one, which does nothing.
        "<button disabled hidden></button>"
        f'<input type="hidden" name="secret" value="{secret}">'
        f'<input type="hidden" name="ticket" value="{escape(due.ticket)}">'
        '<label class="note">Note <input name="note" maxlength="500"></label>'
        f"<fieldset><legend>Only if void: what failed?</legend>{reasons}</fieldset>"
        f'<div class="buttons">{buttons}</div></form><p>{ENDING}</p>'
    )


START = "Set up the scene, and start the robot with this ticket."
ENDING = (
    "A button ends the drive, and what it says is never changed. A fault of the policy and an "
    "emergency stop are failures, not void."
)
STYLE = """
body { font: 17px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff;
       max-width: 60rem; margin: 1.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: .4rem 0; }
header { color: #46525f; margin: 0; }
.ticket { font-family: ui-monospace, monospace; letter-spacing: .06em; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .8rem 0; }
dt { color: #46525f; } dd { margin: 0; overflow-wrap: anywhere; }
.buttons { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem;
           margin: 1rem 0; }
button { font: inherit; min-height: 7.5rem; padding: .6rem; border-radius: 10px; cursor: pointer;
         border: 2px solid; text-align: center; background: #fff; color: #1d2733; }
button b { display: block; font-size: 1.35rem; } button span { font-size: .85rem; }
button:focus-visible, input:focus-visible { outline: 4px solid #1f4a7c; outline-offset: 2px; }
.success { background: #e2efe2; border-color: #27562a; }
.collision, .wrong_side, .timeout { background: #fbe6e3; border-color: #8c1d1d; }
.void { background: #eef1f4; border-color: #46525f; }
fieldset { border: 1px solid #8a96a3; border-radius: 8px; margin: .8rem 0; }
fieldset label { margin-right: 1.6rem; } input[type=radio] { width: 1.2rem; height: 1.2rem; }
.note input { font: inherit; width: min(30rem, 80%); padding: .25rem .4rem; }
.said { background: #e8f0e8; border-left: 5px solid #27562a; padding: .5rem .9rem; }
.said.wrong { background: #fbe6e3; border-color: #8c1d1d; }
"""

"""Errors that are the user's to mend: shown without a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 2000  # characters of a text of a message
MOST = 50  # problems that a message lists
NAMED = 5  # names in a sentence
AGAIN = "run the same command again"
"""What to do after a job was asked to end; README.md says it in the same words."""


class UserError(Exception):
    """A mistake in the user's files or settings, in words that say what to do.

    The message names the file, the place in it, what was found, what was expected and the remedy.
    The command line prints it as it is and exits with ``status``.
    """

    status = 1


class Interrupted(UserError):  # noqa: N818  (nothing went wrong: it was asked for)
    """A job was asked to end by the signal ``number``, and can go on from where it was."""

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.status = 128 + number


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what stands there, what should, and what to do about it.

    The place is a file and a place in it, such as ``config.yaml:12 (experiments.lora.window)``.
    """

    place: str
    found: str
    expected: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        lines = [f"{_shown(self.place)}: {_shown(self.found)}"]
        if self.expected:
            lines.append(f"    expected: {_shown(self.expected)}")
        if self.remedy:
            lines.append(f"    to do:    {_shown(self.remedy)}")
        return "\n".join(lines)


def first_of(names: Sequence[str]) -> str:
    """Return the first of some names as text, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shown(text: str) -> str:
    """Return a text on one line, control characters as ``\\n``, and not endlessly long."""
    if not text.isprintable():
        text = "".join(
            one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
        )
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


class Problems(UserError):  # noqa: N818  (it is several)
    """Several problems, reported together so that they can be mended in one go."""

    def __init__(self, heading: str, problems: Sequence[Problem]):
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        lines = [f"{heading} ({count}):", *map(str, self.problems[:MOST])]
        if len(self.problems) > MOST:
            lines.append(f"and {len(self.problems) - MOST} more")
        super().__init__("\n".join(lines))

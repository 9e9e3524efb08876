"""Sentences in result files: an English template with its values apart, which pages translate.

The template is the key of its translation in ``workflow/report/texts/ko.yaml``. So a result is the
same whatever language the report has, and a program reads the values without taking texts apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mobile_vla.result import Result

NAMED = 10  # of a list of names; of more, their number


class Sentence(Result):
    """A sentence, or a part of one; ``str()`` is the English text."""

    text: str
    """Template with ``{places}``, as ``str.format`` has them."""
    values: dict[str, Sentence | str | int | float | tuple[str, ...]]
    """What stands in the places; of a list of names the text has the first."""

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.filled(lambda text: text, "{first} and {n} more")

    def filled(self, translate: Callable[[str], str], more: str) -> str:
        """Return the text in a language.

        Args:
            translate: returns a template in that language, with the same places.
            more: how a list says that there are more, with the places ``first`` and ``n``.
        """

        def shown(value: Any) -> Any:
            if isinstance(value, Sentence):
                return value.filled(translate, more)
            if isinstance(value, tuple):
                first, left = ", ".join(value[:NAMED]), len(value) - NAMED
                return more.format(first=first, n=left) if left > 0 else first
            return value

        values = {name: shown(value) for name, value in self.values.items()}
        return translate(self.text).format(**values)


def say(text: str, /, **values: Any) -> Sentence:
    """Return a sentence; its values are sentences, numbers, lists of names, and else their text."""
    return Sentence(text=text, values={name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):  # of numpy
        return value.item()
    if isinstance(value, Sentence | str | int | float):
        return value
    names = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return tuple(value) if names else str(value)


def first_of(count: int, first: Sentence) -> Sentence:
    """Return the first of several things that are alike, and how many more there are."""
    return first if count == 1 else say("{first}, and {n} more", first=first, n=count - 1)


def verbatim(value: Any) -> Sentence:
    """Return what a file or a library says, which is the same in all languages."""
    return say("{value}", value=str(value))

"""The words of report and audit in each language, which stand in ``workflow/report/texts/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from mobile_vla.errors import UserError
from mobile_vla.sentence import Sentence
from mobile_vla.templates import FOLDER

MISSING = "–"
"""What stands where there is no value."""


def texts_file(language: str) -> Path:
    """Return the file of the report's texts in a language."""
    return FOLDER / f"texts/{language}.yaml"


@dataclass(frozen=True)
class Texts:
    """Texts by their key. A text may have ``{places}`` for values.

    Of a pair of texts the second is taken where ``n`` is not 1.
    """

    path: Path
    table: Mapping[str, str | list[str]]

    @classmethod
    def of(cls, language: str) -> Texts:
        """Read the texts of a language."""
        return cls.read(texts_file(language))

    @classmethod
    def read(cls, path: Path) -> Texts:
        """Read a table.

        Raises:
            UserError: the file is missing or is no flat table of texts.
        """
        try:
            table = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: not there; restore it from the repository") from None
        except yaml.YAMLError as error:
            raise UserError(f"{path}: {error}; mend the file") from None
        if not isinstance(table, dict):
            raise UserError(f"{path}: expected a text for each key; restore it")
        for key, text in table.items():
            several = text if isinstance(text, list) and len(text) == 2 else [text]
            if not all(isinstance(each, str) for each in several):
                raise UserError(f"{path}: {key}: found {text!r}, expected a text or two texts")
        return cls(path, table)

    def __call__(self, key: str, **values: Any) -> str:
        """Return a text with its values.

        Raises:
            UserError: the table lacks the key, or the text has a place without a value.
        """
        return self._filled(self._text(key, values), key, values)

    def rich(self, key: str, **values: Any) -> Markup:
        """Return a text that holds HTML; the values are escaped."""
        return Markup(self._filled(Markup(self._text(key, values)), key, values))

    @property
    def letters(self) -> str:
        """All letters of the texts."""
        return "".join(sorted({letter for text in self.table.values() for letter in str(text)}))

    def count(self, n: int, noun: str) -> str:
        """Return ``1 episode`` or ``12 episodes``; the nouns are the keys ``count.NOUN``."""
        return self(f"count.{noun}", n=n, number=f"{n:,}")

    def words(self, name: str) -> str:
        """Return how a name of ours reads: by its own text, else without underscores."""
        text = self.table.get(f"name.{name}")
        return text if isinstance(text, str) else name.replace("_", " ")

    def translated(self, english: str) -> str:
        """Return a template of a result; what has no translation is the same in all languages."""
        return str(self.table.get(english, english))

    def said(self, sentence: Sentence) -> str:
        """Return a sentence of a result."""
        return sentence.filled(self.translated, str(self.table["and_more"]))

    def place(self, place: str) -> str:
        """Return a place in a file or a dataset, such as ``images, frames 3-5``."""
        parts = (part.partition(" ") for part in place.split(", "))
        return ", ".join(
            f"{self.table.get(f'place.{word}', word)}{space}{rest}" for word, space, rest in parts
        )

    def picture(self, episode: str, frame: int, swapped: bool) -> str:
        """Return what a small picture of a frame shows."""
        text = f"{episode}, {self('data.frame', frame=frame)}"
        return text + self("data.swapped") if swapped else text

    def motion(self, name: str) -> str:
        """Return how a class of motions reads, such as ``forward left, turning left``."""
        parts = [[part] if part[:8] == "turning " else part.split() for part in name.split(", ")]
        return ", ".join(" ".join(self(f"motion.{word}") for word in words) for words in parts)

    def cell(self, values: Mapping[str, str | None] | None) -> str:
        """Return a cell of the split, or a scenario: ``side left, distance far``."""
        said = [f"{self.words(key)} {value or MISSING}" for key, value in (values or {}).items()]
        return ", ".join(said)

    def between(self, low: str, high: str) -> str:
        """Return ``0.1 to 0.2``, or one of both where they are the same."""
        return low if low == high else self("between", low=low, high=high)

    def _text(self, key: str, values: Mapping[str, Any]) -> str:
        text = self.table.get(key)
        if text is None:
            raise UserError(f"{self.path}: no text {key!r}; add it")
        return text if isinstance(text, str) else text[values.get("n") != 1]

    def _filled(self, text: str, key: str, values: Mapping[str, Any]) -> str:
        try:
            return text.format(**values)
        except (KeyError, IndexError, ValueError) as error:
            places = ", ".join(f"{{{name}}}" for name in values) or "none"
            raise UserError(
                f"{self.path}: {key}: {error!r}; a text may have these places: {places}"
            ) from None

"""Names of measured numbers: the result file that holds one, and the place in it.

``experiments/lora/seed0/evaluation/policy/mae/overall`` stands in
``results/experiments/lora/seed0/evaluation.json`` below ``policy``, ``mae``, ``overall``. An entry
of a list has the name of its first field, as ``comparison/experiments/lora``, or else its index.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel

from mobile_vla.errors import Problem, Problems
from mobile_vla.files import read_json
from mobile_vla.training.result import read_metrics

Content = TypeVar("Content")

SUFFIXES = (".json", ".csv")
BETWEEN = "-vs-"  # two names, as of a pair of experiments
NEAREST = 3  # names that a message suggests
READ_FOR_THEM = 3  # files
NO_NUMBERS = re.compile(
    r"(^|/)(logs|figures|tables|tensorboard|tokenizer|\.[^/]*)/|\.provenance\.json$"
)


class Measured(float):
    """A number of a result that knows its name; what is computed from it has none."""

    name: str

    def __new__(cls, value: float, name: str) -> Measured:
        """Return the number with its name."""
        number = super().__new__(cls, value)
        number.name = name
        return number

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


def named(content: Content, path: Path, results: Path) -> Content:
    """Return what was read from a result file, its fractional numbers with their names."""
    parts = path.relative_to(results).with_suffix("").parts
    done: Content = _named(content, "/".join(map(_escaped, parts)))
    return done


def _named(content: Any, name: str) -> Any:
    if isinstance(content, float):
        return Measured(content, name)
    if isinstance(content, BaseModel):  # just read, and nobody else's: changed in place
        for field in type(content).model_fields:
            own = content.__dict__
            own[field] = _named(own[field], f"{name}/{_escaped(field)}")
        return content
    if isinstance(content, dict):
        return {key: _named(own, f"{name}/{_escaped(key)}") for key, own in content.items()}
    if isinstance(content, list | tuple):
        entries = zip(_entries(content), content, strict=True)
        return type(content)([_named(own, f"{name}/{entry}") for entry, own in entries])
    return content


def names_of(*values: object) -> str:
    """Return the names of those values that have one, with spaces between."""
    return " ".join(value.name for value in values if isinstance(value, Measured))


class Place:
    """Where a number stands, or a value with its interval: a result file, and a place in it."""

    def __init__(self, name: str, path: Path, inside: Sequence[str]):
        self.name, self.path, self.inside = name, path, inside

    def numbers(self, results: Path, below: Path) -> dict[str, float]:
        """Return the numbers at the place in the same file of another folder, by their names.

        Args:
            results: the folder of results that the place was found in.
            below: the folder of results to read.
        """
        content: Any = content_of(below / self.path.relative_to(results))
        for part in self.inside:
            content = dict(_children(content)).get(part)
        return dict(_leaves(content, self.name))


def find(name: str, results: Path) -> Place:
    """Return where the number of a name stands.

    Raises:
        Problems: there is no such number; with the most similar names.
    """
    parts = name.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        for suffix in SUFFIXES:
            path = results.joinpath(*map(unquote, parts[:count]))
            path = path.with_name(path.name + suffix)
            if not path.is_file() or NO_NUMBERS.search(path.relative_to(results).as_posix()):
                continue
            place = Place("/".join(parts), path, parts[count:])
            if place.numbers(results, results):
                return place
    similar = nearest(name, results)
    expected = " or ".join(similar) if similar else f"results below {results}; snakemake makes them"
    remedy = "the report's page shows a number's name: the button below Provenance"
    raise Problems("no such number", [Problem(name, "no number has this name", expected, remedy)])


def nearest(name: str, results: Path) -> list[str]:
    """Return the most similar names of numbers."""
    files = {
        "/".join(map(_escaped, path.relative_to(results).with_suffix("").parts)): path
        for path in sorted(results.rglob("*"))
        if path.suffix in SUFFIXES and not NO_NUMBERS.search(path.relative_to(results).as_posix())
    }
    depth = name.count("/") + 1
    begun = ["/".join(name.split("/")[:count]) for count in range(1, depth + 1)]
    stems = [stem for stem in files if stem in begun] or sorted(
        files, key=lambda stem: -max(_likeness(stem, own) for own in begun)
    )
    known = [
        leaf for stem in stems[:READ_FOR_THEM] for leaf, _ in _leaves(content_of(files[stem]), stem)
    ]
    return difflib.get_close_matches(name, known, NEAREST, cutoff=0)


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def content_of(path: Path) -> Any:
    """Return the content of a result file as plain values; a table's rows as a list.

    Raises:
        UserError: the file is missing, or has another form.
    """
    if path.suffix == ".csv":
        return [epoch.model_dump() for epoch in read_metrics(path)]
    return read_json(path)


def _leaves(content: Any, name: str) -> Iterator[tuple[str, float]]:
    """Yield the numbers at a place and below it, with their names."""
    if isinstance(content, int | float) and not isinstance(content, bool):
        yield name, content
    for part, own in _children(content):
        yield from _leaves(own, f"{name}/{part}")


def _children(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        yield from ((_escaped(key), own) for key, own in content.items())
    elif isinstance(content, list | tuple):
        yield from zip(_entries(content), content, strict=True)


def _entries(items: Sequence[Any]) -> list[str]:
    """Return the names of a list's entries: what each begins with, or else their indices."""
    firsts = [_first(item) for item in items]
    if None not in firsts and len(set(firsts)) == len(firsts):
        return [_escaped(str(first)) for first in firsts]
    return list(map(str, range(len(items))))


def _first(item: Any) -> str | None:
    """Return the first field of an entry as text; None where it is no name."""
    fields = item.__dict__ if isinstance(item, BaseModel) else item
    values = fields.values() if isinstance(fields, dict) else ()
    value = next((value for value in values if value is not None), None)  # as files leave it out
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return BETWEEN.join(value)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    return None


def _escaped(part: str) -> str:
    """Return a part of a name, which neither ``/`` nor white space divides."""
    return re.sub(r"[%/\s]", lambda found: f"%{ord(found[0]):02X}", part)

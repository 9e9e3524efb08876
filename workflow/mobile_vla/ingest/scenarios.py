"""Read the table of scenarios: what each episode's name does not say of it."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from mobile_vla.conventions import KNOWN_VALUES, ScenarioKey
from mobile_vla.errors import Problem, Problems, first_of

KEYS: tuple[ScenarioKey, ...] = get_args(ScenarioKey)
EPISODE = "episode"
LONGEST = 100  # characters of a value
MAX_BYTES = 64 << 20

Scenarios = dict[str, dict[ScenarioKey, str]]
"""What the table says, by episode; a value that is empty is not among it."""


def read_scenarios(path: Path, episodes: Collection[str], place: str) -> Scenarios:
    """Return what a table says of some episodes.

    It is a CSV file in UTF-8 with a heading: ``episode``, and any of the scenario's keys. Lines of
    other episodes do no harm, so that several datasets can share a table.

    Args:
        path: the table.
        episodes: names of the episodes, each of which must have a line.
        place: of the setting that names it.

    Raises:
        Problems: all that is wrong with it, each with its line.
    """
    wrong: list[Problem] = []
    table: Scenarios = {}
    lines: dict[str, int] = {}
    keys: list[str] = []
    for number, row in _rows(path, place, wrong):
        at = f"{path}:{number}"
        if not keys:
            keys = row
            wrong += _heading(keys, at)
            if wrong:
                break
            continue
        if len(row) != len(keys):
            expected = f"{len(keys)}, as the heading has"
            wrong.append(Problem(at, f"{len(row)} cells", expected, "quote cells with a comma"))
            continue
        cells = dict(zip(keys, row, strict=True))
        name = cells.pop(EPISODE)
        if name in lines:
            found = f"{name!r}, which stands in line {lines[name]}, too"
            wrong.append(Problem(at, found, "each episode once", "remove one of the two lines"))
        lines.setdefault(name, number)
        wrong += [problem for key, value in cells.items() for problem in _value(key, value, at)]
        table[name] = {key: cells[key] for key in KEYS if cells.get(key)}
    if not keys and not wrong:
        wrong.append(Problem(f"{path}:1", "an empty table", f"a heading such as {EPISODE},side"))
    missing = sorted(set(episodes) - set(table))
    if missing and not wrong:
        others = sorted(set(table) - set(episodes))
        there = f"; it has lines for {first_of(others)}, which are none" if others else ""
        found = f"no line for {first_of(missing)}{there}"
        expected = "a line for each episode, by the name that results and messages have"
        wrong.append(Problem(str(path), found, expected, "add it; its cells may be empty"))
    if wrong:
        raise Problems(f"the table of scenarios cannot be used ({place})", wrong)
    return {name: table[name] for name in episodes}


def _rows(path: Path, place: str, wrong: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that hold something, each with its line, without spaces around cells."""
    try:
        if path.stat().st_size > MAX_BYTES:
            wrong.append(Problem(place, f"{path} has more than {MAX_BYTES:,} bytes", "a table"))
            return
        # Excel writes a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            before = 0
            for row in reader:
                first, before = before + 1, reader.line_num
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield first, cells
    except OSError as error:
        found = f"{path} cannot be read: {error.strerror}"
        wrong.append(Problem(place, found, "a CSV file, absolute or relative to the project"))
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start] if error.object else 0:#04x} that is no UTF-8"
        wrong.append(Problem(str(path), found, "UTF-8", "save it as `CSV UTF-8`"))
    except csv.Error as error:
        wrong.append(Problem(f"{path}:{before + 1}", f"no CSV: {error}", "cells between commas"))


def _heading(keys: list[str], at: str) -> list[Problem]:
    """Return what is wrong with the table's heading."""
    known = f"{EPISODE}, and any of {', '.join(KEYS)}"
    if len(keys) == 1 and (";" in keys[0] or "\t" in keys[0]):
        found = f"one cell, {keys[0]!r}"
        return [Problem(at, found, "cells between commas", "save it with commas")]
    problems = [
        Problem(at, f"unknown column {key!r}", known)
        for key in dict.fromkeys(keys)
        if key not in (EPISODE, *KEYS)
    ]
    problems += [
        Problem(at, f"the column {key!r} {keys.count(key)} times", "each column once")
        for key in dict.fromkeys(keys)
        if keys.count(key) > 1
    ]
    if EPISODE not in keys:
        problems.append(Problem(at, f"no column {EPISODE!r}", known))
    if not problems and len(keys) == 1:
        problems.append(Problem(at, f"no column but {EPISODE!r}", known))
    return problems


def _value(key: str, value: str, at: str) -> Iterator[Problem]:
    """Yield what is wrong with a cell; the side means something to the audit, other keys do not."""
    if key == "side" and value and value not in KNOWN_VALUES["side"]:
        expected = f"{' or '.join(KNOWN_VALUES['side'])}, or nothing"
        yield Problem(f"{at} (side)", f"found {value!r}", expected)
    elif len(value) > LONGEST or not value.isprintable():
        yield Problem(f"{at} ({key})", f"found {value[:LONGEST]!r}", f"{LONGEST} letters at most")

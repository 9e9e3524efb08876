"""Sweeps: an experiment with lists of values becomes one experiment for each combination."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mobile_vla.config.mistakes import Source, short
from mobile_vla.config.reading import Path_
from mobile_vla.config.reporting import NOT_MATCHED, Sweep, SweepMember
from mobile_vla.errors import Problem

KEYS = ("sweep", "match")
"""What an experiment says of its sweep; the experiments that it becomes do not have these."""
MOST = 1000
"""How many combinations all sweeps may have together."""
NOT_SWEPT = {
    "seeds": "say `seeds` beside the sweep: each combination gets a run for every seed",
    "note": "say it beside the sweep, for all combinations",
    "timing_only": "say it beside the sweep, for all combinations",
}


def expand(config: dict[str, Any], source: Source) -> tuple[dict[str, Sweep], list[Problem]]:
    """Put the combinations in the place of each experiment with a sweep.

    The configuration is changed in place, and ``source`` learns where the new settings stand.

    Returns:
        The sweeps by name, and what is wrong with them. One with mistakes becomes nothing.
    """
    found: dict[str, Any] = {}
    sweeps: dict[str, Sweep] = {}
    problems: list[Problem] = []
    room = MOST
    for name, entry in config["experiments"].items():
        if not isinstance(entry, Mapping) or not set(KEYS) & set(entry):
            found[name] = entry
            continue
        wrong = list(_wrong(("experiments", str(name)), entry, source))
        combinations = 0 if wrong else math.prod(map(len, entry["sweep"].values()))
        room -= combinations
        if room < 0:
            many, expected = f"{combinations} combinations", f"{MOST} in all sweeps together"
            at = ("experiments", str(name), "sweep")
            wrong.append(source.problem(at, many, expected, "sweep fewer settings or values"))
            room += combinations
        problems += wrong
        if wrong:
            continue
        sweep = sweeps[str(name)] = _sweep(str(name), entry)
        others = {**config["experiments"], **found}
        for member in sweep.members:
            if member.experiment in others:
                clash = f"a combination is named {member.experiment!r}, as another experiment is"
                at, remedy = ("experiments", sweep.name, "sweep"), "rename one of the two"
                problems.append(source.problem(at, clash, "each name once", remedy))
            found[member.experiment] = _settings(entry, member)
            _locate(sweep, member, entry["sweep"], source)
    config["experiments"] = found
    return sweeps, problems


def _wrong(at: Path_, entry: Mapping[str, Any], source: Source) -> Iterator[Problem]:
    """Yield what is wrong with an experiment's ``sweep`` and ``match``."""
    swept, match = entry.get("sweep"), entry.get("match", "epochs")
    if match not in ("epochs", "optimizer_steps"):
        expected = "epochs or optimizer_steps"
        yield source.problem((*at, "match"), f"found {short(match)}", expected)
    if not isinstance(swept, Mapping) or not swept:
        expected = "settings with lists of values, such as {lora.r: [4, 8]}"
        yield source.problem((*at, "sweep"), f"found {short(swept)}", expected)
        return
    for key, values in swept.items():
        path = (*at, "sweep", key)
        if key in NOT_SWEPT or key in KEYS or not isinstance(key, str):
            remedy = NOT_SWEPT.get(str(key), "")
            yield source.problem(path, f"{key!r} in a sweep", "a setting's name", remedy)
        elif not isinstance(values, list) or not values:
            yield source.problem(path, f"found {short(values)}", "a list of values")
        elif len({_text(value) for value in values}) < len(values):
            expected = "values that differ, in a name too"
            yield source.problem(path, f"found {short(values)}", expected)
        elif match == "optimizer_steps" and key in NOT_MATCHED:
            expected = "settings that leave data and epochs as they are, with that `match`"
            yield source.problem(path, f"{key!r} with `match: {match}`", expected)
        else:
            obstacle = _obstacle(key, entry)
            if obstacle is not None:
                yield source.problem(path, *obstacle)


def _obstacle(key: str, entry: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return what stands in the way of a swept setting: in its sweep, or beside it."""
    *parents, last = parts = key.split(".")
    around = [".".join(parts[:length]) for length in range(1, len(parts))]
    for other in around:
        if other in entry["sweep"]:
            return f"{key!r} lies within {other!r}", "only one of them in a sweep"
    holder: Any = entry
    for name, parent in zip(around, parents, strict=True):
        if parent not in holder:
            return None
        holder = holder[parent]
        if not isinstance(holder, Mapping):
            expected = f"nothing, or a mapping, for the values of {key!r}"
            return f"{name!r} is {short(holder)} beside the sweep", expected
    if last in holder:
        found = f"{key!r} stands beside the sweep too, as {short(holder[last])}"
        return found, "each setting once", f"remove {key!r} from the one or the other"
    return None


def _sweep(name: str, entry: Mapping[str, Any]) -> Sweep:
    swept = entry["sweep"]
    keys = tuple(sorted(swept))
    last = {key: key.rpartition(".")[2] for key in keys}
    counts = Counter(last.values())
    labels = {key: last[key] if counts[last[key]] == 1 else key for key in keys}
    members = []
    for values in itertools.product(*(swept[key] for key in keys)):
        point = dict(zip(keys, values, strict=True))
        parts = [f"{labels[key]}{_text(value)}" for key, value in point.items()]
        members.append(SweepMember(experiment="-".join([name, *parts]), values=point))
    return Sweep(name=name, keys=keys, match=entry.get("match", "epochs"), members=tuple(members))


def _text(value: Any) -> str:
    """Return a value as a part of a name: ``8``, ``0.1``, ``_cosine``."""
    if isinstance(value, bool) or value is None:
        return {True: "_on", False: "_off", None: "_none"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.12g}".replace("+", "")
    if isinstance(value, Mapping):
        return "".join(f"_{key}{_text(own)}" for key, own in value.items()) or "_none"
    if isinstance(value, list):
        return "".join(_text(own) for own in value) or "_none"
    text = str(value)
    try:
        return _text(float(text))  # 1e-4 is text in YAML
    except ValueError:
        return "_" + re.sub(r"[^A-Za-z0-9_.]", "_", text)


def _settings(entry: Mapping[str, Any], member: SweepMember) -> dict[str, Any]:
    """Return a combination's settings as they would stand in config.yaml."""
    settings = {key: copy.deepcopy(value) for key, value in entry.items() if key not in KEYS}
    for key, value in member.values.items():
        *parents, last = key.split(".")
        holder = settings
        for parent in parents:
            if not isinstance(holder.get(parent), dict):
                holder[parent] = {}
            holder = holder[parent]
        holder[last] = copy.deepcopy(value)
    return settings


def _locate(sweep: Sweep, member: SweepMember, swept: Mapping[str, Any], source: Source) -> None:
    """Let messages about a combination name the lines of its sweep."""
    source.layers[member.experiment] = [("experiments", sweep.name), ("defaults",)]
    for key, value in member.values.items():
        index = next(i for i, own in enumerate(swept[key]) if own is value or own == value)
        moved = ("experiments", member.experiment, *key.split("."))
        source.moved[moved] = ("experiments", sweep.name, "sweep", key, index)

"""Write the entry of config.yaml that reads a file; what has to be chosen stands in comments."""

from __future__ import annotations

import glob
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mobile_vla.config.fields import velocity_place
from mobile_vla.conventions import ACTION_COLUMNS, Dimension
from mobile_vla.describing.recognition import Recognised
from mobile_vla.ingest.groups import wild_parts
from mobile_vla.ingest.places import ACTIONS
from mobile_vla.ingest.scenario import parse_scenario

PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*(\[[A-Za-z0-9_.]+\])?")
"""Texts that YAML takes without quotes, where it does not take them for something else."""
MOST_SHOWN = 12  # columns whose values are shown


@dataclass
class Entry:
    """The entry of a dataset."""

    file: Path
    parts: Recognised | None
    """What was recognised; None for the collector's layout, which needs no ``fields``."""
    groups: list[str]
    """The episodes' groups; one that is empty where the file is one."""
    values: dict[str, np.ndarray] = field(default_factory=dict)
    """(rows, A) of arrays that may hold commands, by path."""
    count: int = 0
    """How many episodes these are from."""
    read: str = ""
    """The first episode in words, once it was read."""
    notes: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Return what was recognised as ``fields``."""
        parts = self.parts
        assert parts is not None and parts.cameras
        said: dict[str, Any] = {
            "episodes": parts.episodes,
            "images": parts.relative(parts.cameras[0].path),
            "actions": dict(parts.velocities),
            "instruction": parts.instructions[0] if len(parts.instructions) == 1 else None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def text(self, missing: Sequence[str]) -> str:
        """Return the entry as YAML; what is missing or has to be chosen stands in comments."""
        return "\n".join(self._lines(missing)) + "\n"

    def _lines(self, missing: Sequence[str]) -> Iterator[str]:
        several = self.parts is not None and self.parts.episodes is not None
        count = f"{len(self.groups)} episodes in" if several else "an episode in"
        yield comment(f"{count} {self.file}" + (f"; the first: {self.read}" if self.read else ""))
        yield from (comment(f"MISSING: {one}") for one in missing)
        yield from map(comment, self.notes)
        folder = self.file.parent
        own = self.file.stem if several else folder.resolve().name
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", own).lstrip("_.-") or "recorded"
        pattern = glob.escape(self.file.name) if several else f"*{self.file.suffix}"
        yield "datasets:"
        yield f"  {quoted(name)}:"
        yield "    kind: recorded"
        yield f"    path: {quoted(str(folder))}"
        if pattern != "*.h5":
            yield f"    pattern: {quoted(pattern)}"
        if self.parts is None:
            yield "    # no fields are needed: images and actions are where the collector puts them"
        else:
            yield "    fields:"
            yield from (f"      {line}" for line in self._field_lines(self.parts))
        yield from (f"    {line}" for line in self._more())

    def _field_lines(self, parts: Recognised) -> Iterator[str]:
        if parts.episodes is not None:
            yield f"episodes: {quoted(parts.episodes)}"
        yield from _choice("images", [parts.relative(one.path) for one in parts.cameras])
        if parts.velocities:
            yield "actions:" + (f"  # {parts.remark}" if parts.remark else "")
            yield from (f"  {name}: {quoted(at)}" for name, at in parts.velocities.items())
            others = [parts.relative(one.path) for one in parts.vectors]
            if others:
                yield comment(f"not taken: {', '.join(others)}")
        elif parts.vectors:
            yield from self._columns_to_choose(parts)
        yield from _choice("instruction", parts.instructions)
        if parts.states:
            places = [f"{parts.relative(one.path)} {one.shape}" for one in parts.states]
            yield comment(f"state: {quoted(parts.relative(parts.states[0].path))}")
            yield comment(f"  (exported, and not trained on; there are {', '.join(places)})")

    def _columns_to_choose(self, parts: Recognised) -> Iterator[str]:
        yield comment("actions: which columns are the velocities?")
        for name in ("linear_x", "angular_z"):
            yield comment(f"  {name}: {quoted(parts.relative(parts.vectors[0].path) + '[0]')}")
        for one in parts.vectors:
            path = parts.relative(one.path)
            yield comment(f"  {path} {one.shape}, from its least to its largest value:")
            values = self.values.get(path, np.zeros((0, 0)))
            for column in range(min(values.shape[1], MOST_SHOWN)) if len(values) else ():
                least, most = values[:, column].min(), values[:, column].max()
                yield comment(f"    [{column}] {least:g} to {most:g}")

    def _more(self) -> Iterator[str]:
        """Yield the settings besides ``fields`` that another layout needs."""
        commands = self._commands()
        moving = [name for name, values in commands.items() if np.any(values)]
        if moving:
            largest = {name: float(np.abs(commands[name]).max()) for name in moving}
            said = f"# up to {', '.join(f'{most:g}' for most in largest.values())} in {self.count} "
            said += "episodes" if self.count > 1 else "episode"
            listed = ", ".join(moving)
            yield f"actions: {{dimensions: [{listed}], scale: {_scale(largest)}}}  {said}"
        if self.parts is not None and parse_scenario(self._name())["side"] is None:
            yield comment("scenarios: FILE.csv  (where sides, layouts or distances differ)")
            yield "split: {stratify_by: []}  # no name says a side"
            has_text = len(self.parts.instructions) == 1
            template = "{instruction}" if has_text else "drive to the goal"
            words = f'prompt: {{template: "{template}"}}'
            yield comment(f"Experiments on it need a prompt without a side, such as {words}")

    def _name(self) -> str:
        pattern = self.parts.episodes if self.parts is not None else None
        parts = wild_parts(pattern, self.groups[0]) if pattern and self.groups else []
        return "_".join([self.file.stem, *parts])

    def _commands(self) -> dict[Dimension, np.ndarray]:
        """Return the values of each velocity that was recognised."""
        if self.parts is None:
            return {
                name: self.values[ACTIONS][:, at]
                for at, name in enumerate(ACTION_COLUMNS)
                if ACTIONS in self.values
            }
        columns = self.parts.columns
        found: dict[Dimension, np.ndarray] = {}
        for name, place in self.parts.velocities.items():
            path, column = velocity_place(place)
            names = columns.get(path, ())
            at = names.index(column) if isinstance(column, str) and column in names else column
            if path in self.values:
                found[name] = self.values[path][:, at if isinstance(at, int) else 0]
        return found


def _choice(name: str, places: list[str]) -> Iterator[str]:
    """Yield a setting; where there are several places, each as a comment, and none is taken."""
    if len(places) == 1:
        yield f"{name}: {quoted(places[0])}"
    for place in places if len(places) > 1 else ():
        yield comment(f"{name}: {quoted(place)}")
    if len(places) > 1:
        yield comment(f"  which of these {len(places)}?")


def comment(text: str) -> str:
    """Return a line that YAML does not read, whatever the text holds."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )
    return f"# {shown}"


def quoted(text: str) -> str:
    """Return a text as YAML takes it."""
    if PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _scale(largest: Mapping[Dimension, float]) -> str:
    """Return the scale of dimensions whose largest commands are given.

    Lengths and angles have one each; the same unit, such as that of keys, has one.
    """
    if len({name.startswith("angular") for name in largest}) == 1:
        return f"{_rounded_up(max(largest.values())):g}"
    parts = (f"{name}: {_rounded_up(most):g}" for name, most in largest.items())
    return f"{{{', '.join(parts)}}}"


def _rounded_up(value: float) -> float:
    """Return a number of three digits that is no less; 1.15 as float32 is 1.15."""
    if not math.isfinite(value):
        return 1.0  # ingest refuses the episode
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return round(math.ceil(value / step - 1e-4) * step, 12)

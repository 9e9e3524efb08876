"""Mistakes in config.yaml: where each setting stands, and pydantic's errors in words of YAML."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag

from mobile_vla.errors import Problem, Problems

Path_ = tuple[str | int, ...]

# Where pydantic speaks of Python's types.
KINDS = {
    "tuple_type": "a list, such as [0, 1]",
    "dict_type": "a mapping of names to settings",
    "model_type": "a mapping of settings to values",
    "model_attributes_type": "a mapping of settings to values",
    "string_type": "text",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "string_pattern_mismatch": "40 hex digits, as of a commit",
}
RENAMED: dict[Path_, str] = {("timing", "ladder"): "'ablation', the new name of this setting"}
"""By section and key, what to write instead of a key of an earlier version."""


class Source:
    """Where each setting stands: its file and line.

    Args:
        files: the YAML files that the configuration was merged from.

    Attributes:
        problems: keys that stand twice.
        layers: by experiment, the places that its settings come from when it does not say them
            itself, the nearest first; ``defaults`` alone where it is not listed.
        moved: settings that stand in another place than their path, such as in a sweep.
    """

    def __init__(self, files: Sequence[Path]):
        self.lines: dict[Path_, str] = {}
        self.problems: list[Problem] = []
        self.layers: dict[str, list[Path_]] = {}
        self.moved: dict[Path_, Path_] = {}
        self.fallback = str(files[0]) if files else "the configuration"
        check_syntax(files)
        for file in files:
            self.add(file)

    def add(self, file: Path) -> None:
        """Note the lines of one more file, which can be read."""
        text = file.read_text(encoding="utf-8")
        self._walk(file, yaml.compose(text, Loader=yaml.SafeLoader), ())

    def _walk(self, file: Path, node: yaml.Node | None, path: Path_) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if key.value in seen:
                    found = f"{key.value!r} stands twice, first in line {seen[key.value]}"
                    self.problems.append(
                        Problem(f"{file}:{line}", found, "each key once", "remove one of the two")
                    )
                seen[key.value] = line
                self.lines[(*path, key.value)] = f"{file}:{line}"
                self._walk(file, value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.lines[(*path, index)] = f"{file}:{value.start_mark.line + 1}"
                self._walk(file, value, (*path, index))

    def place(self, path: Path_) -> str:
        """Return ``file:line (a.b.c)`` of a setting, or of the nearest one that holds it."""
        known = (self.lines[one] for one in self._candidates(path) if one in self.lines)
        line, dotted = next(known, self.fallback), ".".join(map(str, path))
        return f"{line} ({dotted})" if dotted else line

    def problem(self, path: Path_, found: str, expected: str = "", remedy: str = "") -> Problem:
        """Return what is wrong with a setting."""
        return Problem(self.place(path), found, expected, remedy)

    def _candidates(self, path: Path_) -> Iterator[Path_]:
        """Yield where a setting may stand; an experiment's may come from another layer."""
        if path[:1] != ("experiments",) or len(path) < 2:
            yield from (path[:length] for length in range(len(path), 0, -1))
            return
        for length in range(len(path), 2, -1):
            if path[:length] in self.moved:
                yield self.moved[path[:length]]
        layers = self.layers.get(str(path[1]), [("defaults",)])
        own = [path[:2], *(layer for layer in layers if layer[0] == "experiments")]
        yield path
        yield from ((*layer, *path[2:]) for layer in layers)
        for length in range(len(path) - 1, 1, -1):
            yield from ((*one, *path[2:length]) for one in own)
        yield path[:1]


def check_syntax(files: Sequence[Path]) -> None:
    """Check that files are YAML, before anybody reads them who says less about a mistake.

    Raises:
        Problems: a file is not there or is not YAML.
    """
    problems = []
    for file in files:
        try:
            yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except OSError as error:
            problems.append(Problem(str(file), f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            problems.append(Problem(str(file), "not text in UTF-8", remedy="save it as UTF-8"))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{file}:{mark.line + 1}" if mark else str(file)
            remedy = (
                "look there and in the lines above for a bracket or quote that stays "
                "open, and for indentation, which is by spaces"
            )
            found = f"not readable as YAML: {error.problem}"
            problems.append(Problem(place, found, remedy=remedy))
    if problems:
        raise Problems("the configuration cannot be read", problems)


def likely(value: str, known: Sequence[str]) -> str:
    """Return the known name that is probably meant, or all of them."""
    close = difflib.get_close_matches(value, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(known)


def unknown(path: Path_, known: Sequence[str], source: Source) -> Problem:
    """Return the problem of a key that is none of the known ones."""
    name = str(path[-1])
    expected = RENAMED.get(path[-2:]) or likely(name, sorted(known))
    return source.problem(path, f"unknown key {name!r}", expected)


def short(value: Any) -> str:
    """Return a value as it stands in a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def mistake(details: Any, root: type[BaseModel], source: Source) -> Problem:
    """Return an entry of ``ValidationError.errors()`` of the model ``root`` as a problem."""
    # A union's tag stands in pydantic's location, but not in the file.
    path, model = _strip_tags(details["loc"], root)
    if details["type"] == "extra_forbidden" and model is not None:
        return unknown(path, list(model.model_fields), source)
    if details["type"] == "missing":
        found = f"{path[-1]!r} is missing"
        if path[0] == "experiments" and len(path) == 3:
            path = ("defaults", path[2])  # said once, and not for each experiment that lacks it
            found = f"{path[1]!r} is neither among the defaults nor in the experiment"
        return source.problem(path, found, "this setting is required")
    if path and path[-1] == "[key]":
        expected = (
            "letters, digits, '_', '-' and '.', beginning with a letter or digit: "
            "it becomes part of file names"
        )
        return source.problem(path[:-1], f"the name {path[-2]!r}", expected)
    if details["type"] == "union_tag_invalid":
        tag = details["ctx"]["tag"]
        known = re.findall(r"'([^']*)'", details["ctx"]["expected_tags"])
        return source.problem((*path, "kind"), f"found {tag!r}", likely(tag, known))
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if details["type"] == "value_error":
        return source.problem(path, message)
    expected = KINDS.get(details["type"], message)
    return source.problem(path, f"found {short(details['input'])}", expected)


def _strip_tags(
    loc: tuple[int | str, ...], root: type[BaseModel]
) -> tuple[Path_, type[BaseModel] | None]:
    """Return the path in the file, and the model that holds its last key.

    Follows the types from ``root`` on; whatever names no field on the way is a union's tag.
    """
    path: list[int | str] = []
    annotation: Any = root
    holder: type[BaseModel] | None = None
    for part in loc:
        members = list(_members(annotation))
        tagged = [kind for kind, tags in members if part in tags]
        if tagged:
            annotation = tagged[0]
            continue
        kinds = [kind for kind, _ in members]
        mappings = [kind for kind in kinds if get_origin(kind) is dict]
        sequences = [kind for kind in kinds if get_origin(kind) is tuple]
        models = [kind for kind in kinds if _is_model(kind)]
        owners = [model for model in models if part in model.model_fields]
        if mappings:
            annotation = get_args(mappings[0])[1]
        elif sequences and isinstance(part, int):
            annotation = get_args(sequences[0])[0]
        elif owners:
            holder = owners[0]
            annotation = holder.model_fields[str(part)].annotation
        else:
            holder = models[0] if models else None
            annotation = None
        path.append(part)
    return tuple(path), holder


def _members(annotation: Any) -> Iterator[tuple[Any, Sequence[str]]]:
    """Yield the alternatives of a type, each with its tags: a ``Tag``, or values of ``kind``."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        tags = [note.tag for note in notes if isinstance(note, Tag)]
        yield from ((kind, tags or own) for kind, own in _members(inner))
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        kind = annotation.model_fields.get("kind") if _is_model(annotation) else None
        yield annotation, get_args(kind.annotation) if kind is not None else ()


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

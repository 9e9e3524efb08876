"""Mistakes in config.yaml: where each setting stands, and pydantic's errors in words of YAML."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from mobile_vla.config.reading import Document, Path_
from mobile_vla.errors import Problem

Mistake = tuple[Path_, str, str, str]
"""Path in config.yaml, what was found, what was expected, and what to do."""
Names = Mapping[str, Sequence[str]]
"""By section, all names in config.yaml, those of entries with mistakes of their own included."""

COMMAND_LINE = "--config"
"""Place of what the command line says."""

# Where pydantic speaks of Python's types.
KINDS = {
    "tuple_type": "a list, such as [0, 1]",
    "dict_type": "a mapping of names to settings",
    "model_type": "a mapping of settings to values",
    "model_attributes_type": "a mapping of settings to values",
    "string_type": "text",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "string_pattern_mismatch": "40 hex digits, as of a commit",
}
INSTEAD: dict[Path_, str] = {
    ("timing", "ladder"): "'ablation', the new name of this setting",
    ("training", "loss"): "no such line: the head brings its loss, that of Huber 'huber_delta'",
    ("__use_yte__",): "plain YAML: with this key Snakemake runs Python that stands in the file",
}
"""By section and key, what to write instead of a key that was renamed or dropped, or is refused."""


class Source:
    """Where each setting stands: its file and line, or the command line.

    Args:
        documents: the files that the configuration was merged from; later ones come first.
        given: what the command line says, which comes before all files.

    Attributes:
        layers: by experiment, the places that its settings come from when it does not say them
            itself, the nearest first; ``defaults`` alone where it is not listed.
        moved: settings that stand in another place than their path, such as in a sweep.
    """

    def __init__(self, documents: Sequence[Document] = (), given: Mapping[str, Any] | None = None):
        self.lines: dict[Path_, str] = {}
        self.layers: dict[str, list[Path_]] = {}
        self.moved: dict[Path_, Path_] = {}
        self.fallback = documents[0].name if documents else "the configuration"
        for document in documents:
            self.lines |= document.lines
        self.lines |= dict.fromkeys(_paths(given or {}, ()), COMMAND_LINE)

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


def _paths(value: Any, path: Path_) -> Iterator[Path_]:
    """Yield the path of each setting."""
    entries: Any = value.items() if isinstance(value, Mapping) else ()
    if isinstance(value, list):
        entries = enumerate(value)
    for key, item in entries:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def likely(value: str, known: Sequence[str]) -> str:
    """Return the known name that is probably meant, or all of them."""
    close = difflib.get_close_matches(value, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(known)


def unknown(path: Path_, known: Sequence[str], source: Source) -> Problem:
    """Return the problem of a key that is none of the known ones."""
    name = str(path[-1])
    expected = INSTEAD.get(path[-2:]) or likely(name, sorted(known))
    return source.problem(path, f"unknown key {short(name)}", expected)


def short(value: Any) -> str:
    """Return a value as it stands in a message."""
    text = value.isoformat() if isinstance(value, date) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def errors_of(error: ValidationError) -> list[Any]:
    """Return pydantic's errors, without lists that are too short because a value is wrong."""
    errors = error.errors()
    holders = {details["loc"][:-1] for details in errors}
    return [one for one in errors if one["type"] != "too_short" or one["loc"] not in holders]


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
    if path and path[-1] == "[key]" and details["type"] == "string_too_long":
        found = f"a name of {len(str(path[-2]))} characters"
        expected = f"{details['ctx']['max_length']} at most: it becomes part of file names"
        return source.problem(path[:-1], found, expected, "name it shorter")
    if path and path[-1] == "[key]" and details["type"] == "literal_error":
        expected = details["ctx"]["expected"].replace("'", "")
        return source.problem(path[:-1], f"the name {short(path[-2])}", expected)
    if path and path[-1] == "[key]":
        expected = (
            "letters, digits, '_', '-' and '.', beginning with a letter or digit: "
            "it becomes part of file names"
        )
        return source.problem(path[:-1], f"the name {short(path[-2])}", expected)
    if details["type"] == "union_tag_invalid":
        tag = details["ctx"]["tag"]
        known = re.findall(r"'([^']*)'", details["ctx"]["expected_tags"])
        key = "type" if path[-1] == "head" else "kind"
        return source.problem((*path, key), f"found {tag!r}", likely(tag, known))
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if details["type"] == "value_error":
        return source.problem(path, message)
    kind, value = details["type"], details["input"]
    expected = KINDS[kind].format(**details.get("ctx", {})) if kind in KINDS else message
    unquoted = kind == "string_type" and isinstance(value, int | float | date)
    remedy = "put it in quotes" if unquoted else ""
    return source.problem(path, f"found {short(value)}", expected, remedy)


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

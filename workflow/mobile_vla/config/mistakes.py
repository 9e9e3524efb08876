"""What pydantic finds wrong, in words of YAML, with its place and for a typo the likely word."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Hashable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from mobile_vla.config.checks import likely
from mobile_vla.config.source import Path_, Source
from mobile_vla.errors import Problem

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


def unknown(path: Path_, known: Sequence[str], source: Source) -> Problem:
    """Return the problem of a key that is none of the known ones."""
    name = str(path[-1])
    if path[-2:] in RENAMED:
        return Problem(source.place(path), f"unknown key {name!r}", RENAMED[path[-2:]])
    close = difflib.get_close_matches(name, known, n=1)
    return Problem(
        source.place(path),
        f"unknown key {name!r}",
        f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(sorted(known)),
    )


def mistake(details: Any, root: type[BaseModel], source: Source) -> Problem:
    """Return one of pydantic's errors as a problem.

    Args:
        details: an entry of ``ValidationError.errors()``.
        root: the model that was validated.
        source: where its settings stand.
    """
    # A union's tag stands in pydantic's location, but not in the file.
    path, model = _strip_tags(details["loc"], root)
    if details["type"] == "extra_forbidden" and model is not None:
        return unknown(path, list(model.model_fields), source)
    if details["type"] == "missing":
        if path[0] == "experiments" and len(path) == 3:
            path = ("defaults", path[2])  # said once, and not for each experiment that lacks it
            found = f"{path[1]!r} is neither among the defaults nor in the experiment"
            return Problem(source.place(path), found, "this setting is required")
        return Problem(source.place(path), f"{path[-1]!r} is missing", "this setting is required")
    if path and path[-1] == "[key]":
        return Problem(
            source.place(path[:-1]),
            f"the name {path[-2]!r}",
            "letters, digits, '_', '-' and '.', beginning with a letter or digit: "
            "it becomes part of file names",
        )
    if details["type"] == "union_tag_invalid":
        known = re.findall(r"'([^']*)'", details["ctx"]["expected_tags"])
        return Problem(
            source.place((*path, "kind")),
            f"found {details['ctx']['tag']!r}",
            likely(details["ctx"]["tag"], known),
        )
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if details["type"] == "value_error":
        return Problem(source.place(path), message)
    expected = KINDS.get(details["type"], message)
    return Problem(source.place(path), f"found {short(details['input'])}", expected)


def short(value: Any) -> str:
    """Return a value as it stands in a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _strip_tags(
    loc: tuple[int | str, ...], root: type[BaseModel]
) -> tuple[Path_, type[BaseModel] | None]:
    """Return the path in the file, and the model that holds its last key.

    Follows the types from ``root`` on; whatever names no field on the way is a union's tag.
    """
    path: list[Hashable] = []
    annotation: Any = root
    holder: type[BaseModel] | None = None
    for part in loc:
        tagged = _by_tag(annotation)
        if part in tagged:
            annotation = tagged[part]
            continue
        types_ = _flatten(annotation)
        models = [kind for kind in types_ if isinstance(kind, type) and issubclass(kind, BaseModel)]
        mappings = [kind for kind in types_ if get_origin(kind) is dict]
        sequences = [kind for kind in types_ if get_origin(kind) is tuple]
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
    return tuple(path), holder  # type: ignore[arg-type]


def _by_tag(annotation: Any) -> dict[int | str, Any]:
    """Return the members of a tagged union by their tag: a ``Tag``, or the value of ``kind``."""
    if get_origin(annotation) is Annotated:
        return _by_tag(get_args(annotation)[0])
    found: dict[int | str, Any] = {}
    if get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            model, *metadata = get_args(member) if get_origin(member) is Annotated else [member]
            tags = [note.tag for note in metadata if isinstance(note, Tag)]
            if not tags and isinstance(model, type) and issubclass(model, BaseModel):
                kind = model.model_fields.get("kind")
                tags = list(get_args(kind.annotation)) if kind is not None else []
            found |= dict.fromkeys(tags, model)
    return found


def _flatten(annotation: Any) -> list[Any]:
    """Return the alternatives of a type: members of unions, without their annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _flatten(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for member in get_args(annotation) for kind in _flatten(member)]
    return [annotation]

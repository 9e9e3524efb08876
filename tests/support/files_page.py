"""The files below ``results/`` and their forms, as the section "Files" of docs/architecture.md.

python tests/support/files_page.py    writes it there anew
"""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/architecture.md"
START = "<!-- printed by tests/support/files_page.py -->\n"
END = "<!-- end of the files -->\n"

sys.path.insert(0, str(ROOT / "workflow"))

from mobile_vla import layout  # noqa: E402  (found by the line above)
from mobile_vla.result import Result  # noqa: E402
from support.forms import FORMS  # noqa: E402


def groups() -> list[type[layout.Files]]:
    """Return the classes of files, in the order of ``layout.py``."""
    return [
        value
        for value in vars(layout).values()
        if inspect.isclass(value) and issubclass(value, layout.Files) and value is not layout.Files
    ]


def meanings(group: type[layout.Files]) -> dict[str, str]:
    """Return the docstring below each field of a class of files."""
    (tree,) = ast.parse(inspect.getsource(group)).body
    assert isinstance(tree, ast.ClassDef)
    found, last = {}, None
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            found[last] = inspect.cleandoc(str(node.value.value))
            last = None
        else:
            last = None
    return found


def text_of(kind: Any) -> str:
    """Return a field's type in JSON's words; a model by its name."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(text_of(member) for member in inner)
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin in (list, tuple):
        return f"[{text_of(inner[0])}]"
    if origin is dict:
        return f"{{{text_of(inner[0])}: {text_of(inner[1])}}}"
    if origin is not None:  # Annotated
        return text_of(inner[0])
    names = {NoneType: "null", str: "text", int: "whole", float: "number", bool: "true or false"}
    if kind is Any:
        return "any"
    return names.get(kind) or str(getattr(kind, "__name__", kind))


def models_in(kind: Any) -> list[type[Result]]:
    """Return the models that a type names."""
    if inspect.isclass(kind) and issubclass(kind, Result):
        return [kind]
    return [model for inner in get_args(kind) for model in models_in(inner)]


def form(model: type[Result], seen: set[type[Result]]) -> list[str]:
    """Return the lines that describe a model, and those of the models in it, each once."""
    lines, inner = [], list[type[Result]]()
    for name, field in model.model_fields.items():
        inner += models_in(field.annotation)
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | {text_of(field.annotation)} | {meaning} |".replace("  ", " "))
    head = f"`{model.__name__}`: {' '.join((model.__doc__ or '').split())}"
    lines = [head, "", "| field | | |", "| --- | --- | --- |", *lines, ""]
    for other in dict.fromkeys(inner):
        if other not in seen:
            seen.add(other)
            lines += form(other, seen)
    return lines


def section() -> str:
    """Return the whole section."""
    lines: list[str] = []
    seen: set[type[Result]] = set()
    for group in groups():
        meaning = meanings(group)
        lines += ["", f"### {group.__name__}", "", " ".join((group.__doc__ or "").split()), ""]
        for field in fields(group):
            said = " ".join(meaning.get(field.name, "").split())
            lines.append(f"- `{field.default}` {said}".rstrip())
        lines.append("")
        for field in fields(group):
            model = FORMS.get((group.__name__, field.name))
            if model is not None and model not in seen:
                seen.add(model)
                lines += form(model, seen)
    return "\n".join(lines) + "\n"


def renewed(page: str) -> str:
    """Return a page with the section as it is today."""
    head, rest = page.split(START)
    return head + START + section() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""The templates of all sentences that the library writes into results, read off its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mobile_vla.sentence import verbatim

LIBRARY = Path(__file__).parents[2] / "workflow/mobile_vla"


def defect(
    code: str, place: str = "file", found: str = "a", expected: str = "b", remedy: str = "c"
) -> dict[str, Any]:
    """Return what ``ingest`` writes of a defect."""
    said = {"found": found, "expected": expected, "remedy": remedy}
    sentences = {name: verbatim(text).model_dump() for name, text in said.items()}
    return {"code": code, "place": place, **sentences}


def templates() -> dict[str, str]:
    """Return where each template is first written; those without a word are the same everywhere."""
    found: dict[str, str] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for text in _of_call(node):
                found.setdefault(text, f"{path.name}:{node.lineno}")
    return {text: at for text, at in found.items() if re.search(r"[a-z]{2}", _words(text))}


def _words(text: str) -> str:
    return re.sub(r"\{\w[^}]*\}|`[^`]*`", "", text)


def _of_call(node: ast.AST) -> Iterator[str]:
    """Yield the templates of a call of ``say``, and of what a setting of the audit passes to it."""
    name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and name in ("say", "QualityMeasure"):
        measured = [one.value for one in node.keywords if one.arg == "text"]
        for text in node.args[:1] if name == "say" else measured:
            yield from _constants(text)


def _constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from (*_constants(node.body), *_constants(node.orelse))

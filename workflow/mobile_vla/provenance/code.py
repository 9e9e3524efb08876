"""List what a command's result depends on: imported modules by digest, packages by version.

Snakemake does not notice when an imported module changes. The list is therefore a parameter of
each rule, compared with that of the last run; Snakemake's reason names the changed module.

Every plan and every job asks for it, so what was found of a module is kept in a file, by the digest
of its source.
"""

from __future__ import annotations

import ast
import atexit
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mobile_vla.files import write_text

PACKAGE = "mobile_vla"
ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the package


def chosen_modules(settings: Mapping[str, Any]) -> list[str]:
    """Return the modules that a command's settings choose by name, and that no import names.

    They are those of the policy's head, and of the drives that choose a checkpoint: an edit of
    them concerns no run that has another head, or chooses by the loss.

    Args:
        settings: as JSON values; they stand in them, or in a part of them, as ``head``, ``drives``.
    """
    chosen: list[str] = []
    for name, value in settings.items():
        if name == "head" and value is not None:
            chosen += (f"{PACKAGE}.{part}.heads.{value['type']}" for part in ("config", "model"))
        elif name == "drives" and value is not None:
            chosen.append(f"{PACKAGE}.training.scene_drives")
        elif isinstance(value, Mapping):
            chosen += chosen_modules(value)
    return chosen


def code_of(*entries: str) -> list[str]:
    """Return the import closure of modules such as ``mobile_vla.training.train``.

    Imports are followed wherever they stand: at the top, in functions, relative or absolute; a
    module brings its packages' ``__init__`` along. What is imported by a name that is computed is
    not seen: :func:`chosen_modules` has that.

    Returns:
        Sorted lines ``module digest``, 16 hex digits of the SHA-256 of the module's syntax tree
        without docstrings.
    """
    waiting, closure = list(entries), set[str]()
    while waiting:
        module = waiting.pop()
        if module in closure:
            continue
        closure.add(module)
        waiting += _analysed(module).imports
        parts = module.split(".")
        waiting += [".".join(parts[:length]) for length in range(1, len(parts))]
    return [f"{module} {_analysed(module).digest}" for module in sorted(closure)]


@cache
def _file(module: str) -> Path | None:
    """Return the source of a module of this package, or None if there is no such module."""
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_name(base.name + ".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@dataclass(frozen=True)
class _Analysis:
    """The modules of this package that a module imports, and the digest of its code."""

    imports: tuple[str, ...]
    digest: str


@cache
def _analysed(module: str) -> _Analysis:
    file = _file(module)
    if file is None:
        raise ModuleNotFoundError(f"no module {module} below {ROOT}")
    source = file.read_bytes()
    key = hashlib.sha256(source + _maker()).hexdigest()
    kept = _kept()
    entry = kept.get(module)
    if not isinstance(entry, list) or len(entry) != 3 or entry[0] != key:
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        if not _new:
            atexit.register(_keep)
        kept[module] = _new[module] = [key, *_read(source, file, package)]
    _, names, digest = kept[module]
    inside = {name for name in names if name == PACKAGE or name.startswith(PACKAGE + ".")}
    return _Analysis(
        imports=tuple(sorted(name for name in inside if _file(name) is not None)), digest=digest
    )


def _read(source: bytes, file: Path, package: str) -> tuple[list[str], str]:
    """Return the names that may be modules in the imports of a source, and its code's digest."""
    tree = ast.parse(source, filename=str(file))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += _imported_from(node, package)
        _drop_docstrings(node)
    return sorted(set(names)), hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


_new: dict[str, list[Any]] = {}  # what this process has found, and the file has not


@cache
def _maker() -> bytes:
    """Return what the analysis itself depends on: this module, and Python's syntax trees."""
    return Path(__file__).read_bytes() + sys.version.encode()


@cache
def _kept() -> dict[str, list[Any]]:
    """Return what is kept: for each module a key, the names that it imports, and its digest."""
    with suppress(OSError, ValueError):
        known = json.loads(_place().read_text(encoding="utf-8"))
        if isinstance(known, dict):
            return known
    return {}


def _place() -> Path:
    return ROOT / ".cache/analyses.json"


def _keep() -> None:
    """Write what was found, with what other processes may have written meanwhile."""
    _kept.cache_clear()
    with suppress(OSError):  # without it each plan is slower, not wrong
        write_text(_place(), json.dumps(_kept() | _new))


def _imported_from(node: ast.ImportFrom, package: str) -> list[str]:
    """Return what may be modules in an import: ``from package import module`` names one."""
    base = node.module or ""
    if node.level:
        anchor = package.split(".")
        anchor = anchor[: len(anchor) - node.level + 1]
        base = ".".join([*anchor, base]) if base else ".".join(anchor)
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def _drop_docstrings(node: ast.AST) -> None:
    """Remove every statement that is nothing but a string, those of settings' fields included."""
    for name in ("body", "orelse", "finalbody"):
        statements = getattr(node, name, None)
        if isinstance(statements, list):
            statements[:] = [statement for statement in statements if not _is_string(statement)]


def _is_string(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Return the installed version of each package, without importing it."""
    return {package: _version(package) for package in sorted(packages)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

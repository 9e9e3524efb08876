"""Which modules a command is made of, and a digest of what each of them does.

Snakemake notices when a rule's own text changes, but not when a module that it imports does. The
list that :func:`code_of` returns is therefore a parameter of each rule: Snakemake compares it with
the one of the last run, and its reason line names the module that changed.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "mobile_vla"
ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the package


def code_of(entry: str) -> list[str]:
    """Return the import closure of a module inside this package.

    Imports are followed wherever they stand: at the top, in functions, relative or absolute; a
    module brings its packages' ``__init__`` along. Comments, docstrings and formatting do not
    count.

    Args:
        entry: a module's full name, such as ``mobile_vla.training.train``.

    Returns:
        Sorted lines ``module digest``, the digest being 16 hex digits of the SHA-256 of the
        module's syntax tree.
    """
    waiting, found = [entry], set[str]()
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        waiting += _imports(module)
        waiting += [parent for parent in _parents(module) if parent not in found]
    return [f"{module} {_digest(module)}" for module in sorted(found)]


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


@cache
def _file(module: str) -> Path | None:
    """Return the source of a module of this package, or None if there is no such module."""
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_name(base.name + ".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    if file is None:
        raise ModuleNotFoundError(f"no module {module} below {ROOT}")
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@cache
def _digest(module: str) -> str:
    tree = _WithoutDocstrings().visit(copy.deepcopy(_tree(module)))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops every docstring, those of attributes included: they change no result.

    A string that stands as a statement by itself has no effect wherever it is. The exception are
    settings, whose attribute docstrings become the schema's descriptions and nothing else.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Remove a statement that is nothing but a string."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return node


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules of this package that a module imports."""
    file = _file(module)
    assert file is not None, module  # only modules that were found are asked for
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")
                anchor = anchor[: len(anchor) - node.level + 1]
                base = ".".join([*anchor, base]) if base else ".".join(anchor)
            # `from package import module` and `from module import name` look alike
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    inside = {name for name in names if name == PACKAGE or name.startswith(PACKAGE + ".")}
    return tuple(sorted(name for name in inside if _file(name) is not None))

"""Read YAML within limits, so that whatever is wrong with a file is said with its line."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mobile_vla.errors import Problem, Problems

Path_ = tuple[str | int, ...]
"""Keys and indices that lead to a setting."""

MAX_BYTES = 500_000
MAX_DEPTH = 30
MAX_ENTRIES = 20_000  # with each alias counted as what it stands for
MAX_DIGITS = 40
CANNOT_BE_READ = "the configuration cannot be read"

OPEN = (
    "look there and in the lines above for a bracket or quote that stays open, and for "
    "indentation, which is by spaces"
)
KINDS = {"bool": "a truth value", "int": "a number", "float": "a number", "null": "nothing",
         "timestamp": "a date", "merge": "a merge"}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A YAML file.

    Args:
        name: the file, as messages name it.
        content: what it holds; never to be changed.
        lines: ``file:line`` of each setting.
        problems: keys that stand twice, or are no text.
        entries: how many keys and values it has.
    """

    name: str
    content: Any
    lines: dict[Path_, str]
    problems: list[Problem]
    entries: int


def read(file: Path) -> Document:
    """Read a file.

    Raises:
        Problems: it cannot be read, is not YAML, or exceeds a limit.
    """
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _problem(str(file), "is no file", "a YAML file")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _problem(str(file), "more text than a configuration has", f"{MAX_BYTES} bytes")
        return _document(str(file), content.decode("utf-8"))
    except OSError as error:
        raise _problem(str(file), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = "not text in UTF-8"
        raise _problem(f"{file}:{line}", found, remedy="save it as UTF-8") from None
    except ValueError as error:  # a path with a null byte
        raise _problem(str(file), f"cannot be read: {error}") from None


@lru_cache(16)
def _document(name: str, text: str) -> Document:
    """Return what a text holds; presets are read again and again."""
    odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        found, expected = f"the character U+{ord(odd[0]):04X}", "none that YAML does not allow"
        raise _problem(f"{name}:{line}", found, expected, "remove it")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        walk = _Walk(name)
        if node is not None:
            walk.visit(node, ())  # before the content is made, which changes the nodes of merges
        content = None
        if node is not None and not walk.problems:
            content = loader.construct_document(node)
        return Document(name, content, walk.lines, walk.problems, loader.entries)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        if isinstance(error, _Refused):
            raise _problem(place, str(error.problem), str(error.note)) from None
        syntax = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
        found = f"not readable as YAML: {error.problem or error.context}"
        raise _problem(place, found, remedy=OPEN if syntax else "") from None
    except Exception as error:  # whatever PyYAML raises: the user's text is the cause
        raise _problem(name, f"not readable as YAML: {error}") from None


class _Refused(yaml.MarkedYAMLError):
    """What is YAML, and no configuration; its note says what is expected."""


class _Loader(yaml.SafeLoader):
    """Stops at the first place that exceeds a limit, before aliases are expanded.

    It is the parser in Python because Snakemake uses that to read the same file.
    """

    def __init__(self, text: str):
        super().__init__(text)
        self.entries = self.depth = 0
        self.sizes: dict[str, int | None] = {}  # by anchor; None while it is read

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        mark, anchor = event.start_mark, event.anchor
        if isinstance(event, yaml.AliasEvent):
            size = self.sizes.get(anchor, 0)
            if size is None:
                raise _refused(mark, f"*{anchor} within &{anchor}", "settings that end")
            self._count(size, mark)
            return super().compose_node(parent, index)
        self._count(1, mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refused(mark, "a setting too deep within others", f"{MAX_DEPTH} levels at most")
        before = self.entries
        if anchor is not None and anchor not in self.sizes:
            self.sizes[anchor] = None
        node = super().compose_node(parent, index)
        if anchor is not None:
            self.sizes[anchor] = self.entries - before + 1
        self.depth -= 1
        return node

    def _count(self, more: int, mark: Any) -> None:
        self.entries += more
        if self.entries > MAX_ENTRIES:
            found = "more settings than a configuration has, aliases (*) counted in full"
            raise _refused(mark, found, f"{MAX_ENTRIES} keys and values at most")

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        mark = node.start_mark
        if tag == "int" and len(str(node.value)) > MAX_DIGITS:
            found = f"a number of {len(node.value)} characters"
            raise _refused(mark, found, f"{MAX_DIGITS} digits at most")
        try:
            return super().construct_object(node, deep)
        except yaml.MarkedYAMLError:
            raise
        except Exception as error:
            kind = KINDS.get(tag, tag)
            raise _refused(mark, f"no value of its kind: {error}", kind) from None

    def refuse_tag(self, node: Any) -> Any:
        expected = "plain values without tags"
        raise _refused(node.start_mark, f"the tag {node.tag!r}", expected)


_Loader.add_constructor(None, _Loader.refuse_tag)
for _tag in ("set", "omap", "pairs", "binary"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.refuse_tag)


def _refused(mark: Any, found: str, expected: str) -> _Refused:
    return _Refused(problem=found, problem_mark=mark, note=expected)


def _problem(place: str, found: str, expected: str = "", remedy: str = "") -> Problems:
    return Problems(CANNOT_BE_READ, [Problem(place, found, expected, remedy)])


class _Walk:
    """Notes where each setting stands, and keys that cannot be."""

    def __init__(self, name: str):
        self.name = name
        self.lines: dict[Path_, str] = {}
        self.problems: list[Problem] = []

    def visit(self, node: yaml.Node, path: Path_) -> None:
        """Note what a node holds."""
        for key, value, mark in self._entries(node, path):
            self.lines[(*path, key)] = f"{self.name}:{mark.line + 1}"
            self.visit(value, (*path, key))

    def _entries(self, node: yaml.Node, path: Path_) -> Iterator[tuple[str | int, Any, Any]]:
        if isinstance(node, yaml.SequenceNode):
            yield from ((index, one, one.start_mark) for index, one in enumerate(node.value))
        if not isinstance(node, yaml.MappingNode):
            return
        seen: dict[str, int] = {}
        for key, value in node.value:
            kind, mark = key.tag.removeprefix("tag:yaml.org,2002:"), key.start_mark
            if kind == "merge":
                kind = "str"
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(mark, path, "a list or mapping as a key", "a name")
            elif kind != "str":
                name = f'"{key.value}"'
                found = f"the key {key.value} is {KINDS.get(kind, kind)} in YAML"
                self._wrong(mark, (*path, key.value), found, "text", f"put it in quotes: {name}")
            elif key.value in seen:
                found = f"{key.value!r} stands twice, first in line {seen[key.value]}"
                self._wrong(mark, (), found, "each key once", "remove one of the two")
            else:
                seen[key.value] = mark.line + 1
                yield key.value, value, mark

    def _wrong(self, mark: Any, path: Path_, found: str, expected: str, remedy: str = "") -> None:
        dotted = ".".join(map(str, path))
        place = f"{self.name}:{mark.line + 1}" + (f" ({dotted})" if dotted else "")
        self.problems.append(Problem(place, found, expected, remedy))

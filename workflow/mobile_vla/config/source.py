"""Where each setting of config.yaml stands: its file and line, for the messages about mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from mobile_vla.errors import Problem, Problems

Path_ = tuple[str | int, ...]


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
                    self.problems.append(
                        Problem(
                            f"{file}:{line}",
                            f"{key.value!r} stands twice, first in line {seen[key.value]}",
                            "each key once",
                            "remove one of the two",
                        )
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
        dotted = ".".join(map(str, path))
        for candidate in self._candidates(path):
            if candidate in self.lines:
                return f"{self.lines[candidate]} ({dotted})" if dotted else self.lines[candidate]
        return f"{self.fallback} ({dotted})" if dotted else self.fallback

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
            problems.append(
                Problem(
                    place,
                    f"not readable as YAML: {error.problem}",
                    remedy="look there and in the lines above for a bracket or quote that stays "
                    "open, and for indentation, which is by spaces",
                )
            )
    if problems:
        raise Problems("the configuration cannot be read", problems)

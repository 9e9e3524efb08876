"""Read config.yaml: every mistake at once, each with its line and, for a typo, the likely word."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from mobile_vla.config.checks import cross_checks, likely
from mobile_vla.config.experiment import Experiment
from mobile_vla.config.project import Project
from mobile_vla.errors import Problem, Problems

Path_ = tuple[str | int, ...]

# In words of YAML, where pydantic speaks of Python's types.
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

SECTIONS = (*Project.model_fields, "defaults")


class Source:
    """Where each setting stands: its file and line."""

    def __init__(self, files: Sequence[Path]):
        self.lines: dict[Path_, str] = {}
        self.problems: list[Problem] = []
        self.fallback = str(files[0]) if files else "the configuration"
        check_syntax(files)
        for file in files:
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
        """Yield where a setting may stand; an experiment's may come from ``defaults``."""
        yield path
        if len(path) > 2 and path[0] == "experiments":
            yield ("defaults", *path[2:])
        for length in range(len(path) - 1, 0, -1):
            yield path[:length]


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


def merge(defaults: Any, changes: Any) -> Any:
    """Return ``defaults`` with ``changes`` laid over them, mapping by mapping."""
    if not isinstance(defaults, Mapping) or not isinstance(changes, Mapping):
        return defaults if changes is None else changes
    merged = dict(defaults)
    for key, value in changes.items():
        # `early_stopping: null` in an experiment switches a default off, so a null replaces.
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load_project(config: Mapping[str, Any], files: Sequence[Path]) -> Project:
    """Validate a configuration.

    Args:
        config: the configuration as Snakemake merged it from files and command line.
        files: the YAML files it came from, for the places of mistakes.

    Raises:
        Problems: all mistakes, each with its place and what was expected.
    """
    source = Source(files)
    problems = list(source.problems)
    if problems:
        raise Problems("config.yaml cannot be used", problems)
    config = _plain(config)
    if not isinstance(config, dict):
        raise Problems(
            "config.yaml cannot be used",
            [Problem(source.fallback, f"found {_short(config)}", "sections such as `datasets:`")],
        )
    problems += _unknown_sections(config, source)
    problems += _unknown_defaults(config, source)
    defaults = config.get("defaults") or {}
    experiments = config.get("experiments")
    if isinstance(experiments, dict) and isinstance(defaults, dict):
        # What `defaults` misspells is reported once, there, and not for each experiment.
        known = {key: value for key, value in defaults.items() if key in Experiment.model_fields}
        experiments = {name: merge(known, changes) for name, changes in experiments.items()}
    sections = {key: value for key, value in config.items() if key in Project.model_fields}
    sections["experiments"] = experiments
    project, mistakes = _validate(sections, source)
    problems += mistakes
    if project is not None:
        names = {section: list(entries) for section, entries in _named(sections).items()}
        problems += [
            Problem(source.place(path), found, expected, remedy)
            for path, found, expected, remedy in cross_checks(project, names)
        ]
    if problems:
        raise Problems("config.yaml cannot be used", _distinct(problems))
    assert project is not None  # it is only missing with problems
    return project


def _validate(sections: dict[str, Any], source: Source) -> tuple[Project | None, list[Problem]]:
    """Return the project, and the mistakes of its single settings.

    With mistakes, it is the project of the entries that have none, if there is one, so that
    the combinations of those can be checked too.
    """
    try:
        return Project.model_validate(sections), []
    except ValidationError as error:
        mistakes = error.errors()
    problems = [_problem(details, source) for details in mistakes]
    wrong = {details["loc"][:2] for details in mistakes}
    sound = {
        **sections,
        **{
            section: {
                name: entry for name, entry in entries.items() if (section, name) not in wrong
            }
            for section, entries in _named(sections).items()
        },
    }
    try:
        return Project.model_validate(sound), problems
    except ValidationError:
        return None, problems


def _named(sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections whose entries have names."""
    return {
        section: sections[section]
        for section in ("datasets", "backbones", "experiments")
        if isinstance(sections.get(section), dict)
    }


def _plain(value: Any) -> Any:
    """Return plain dicts and lists: Snakemake hands out its own kinds of mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _unknown_sections(config: Mapping[str, Any], source: Source) -> list[Problem]:
    return [_unknown((str(key),), SECTIONS, source) for key in config if str(key) not in SECTIONS]


def _unknown_defaults(config: Mapping[str, Any], source: Source) -> list[Problem]:
    defaults = config.get("defaults") or {}
    if not isinstance(defaults, dict):
        return [
            Problem(source.place(("defaults",)), f"{defaults!r}", "a mapping of settings to values")
        ]
    known = list(Experiment.model_fields)
    return [_unknown(("defaults", str(key)), known, source) for key in defaults if key not in known]


def _unknown(path: Path_, known: Sequence[str], source: Source) -> Problem:
    name = str(path[-1])
    close = difflib.get_close_matches(name, known, n=1)
    return Problem(
        source.place(path),
        f"unknown key {name!r}",
        f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(sorted(known)),
    )


def _problem(details: Any, source: Source) -> Problem:
    # A union's tag stands in pydantic's location, but not in the file.
    path, model = _strip_tags(details["loc"])
    if details["type"] == "extra_forbidden" and model is not None:
        return _unknown(path, list(model.model_fields), source)
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
    return Problem(source.place(path), f"found {_short(details['input'])}", expected)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _strip_tags(loc: tuple[int | str, ...]) -> tuple[Path_, type[BaseModel] | None]:
    """Return the path in the file, and the model that holds its last key.

    Follows the types from :class:`Project` on; whatever names no field on the way is a union's tag.
    """
    path: list[Hashable] = []
    types_: list[Any] = [Project]
    holder: type[BaseModel] | None = None
    for part in loc:
        models = [kind for kind in types_ if isinstance(kind, type) and issubclass(kind, BaseModel)]
        mappings = [kind for kind in types_ if get_origin(kind) is dict]
        sequences = [kind for kind in types_ if get_origin(kind) is tuple]
        owners = [model for model in models if part in model.model_fields]
        if mappings:
            types_ = _flatten(get_args(mappings[0])[1])
        elif sequences and isinstance(part, int):
            types_ = _flatten(get_args(sequences[0])[0])
        elif owners:
            holder = owners[0]
            types_ = _flatten(owners[0].model_fields[str(part)].annotation)
        elif len(models) > 1 and part in _TAGS:
            types_ = [model for model in models if _TAGS[part] == model.__name__]
            continue
        else:
            holder = models[0] if models else None
            types_ = []
        path.append(part)
    return tuple(path), holder  # type: ignore[arg-type]


_TAGS: dict[int | str, str] = {
    "simulated": "SimulatedDataset",
    "recorded": "RecordedDataset",
    "lerobot": "LerobotDataset",
    "random": "RandomBackbone",
    "pretrained": "PretrainedBackbone",
    "holdout": "Holdout",
    "kfold": "KFold",
    "leave_one_out": "LeaveOneOut",
}


def _flatten(annotation: Any) -> list[Any]:
    """Return the alternatives of a type: members of unions, without their annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _flatten(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for member in get_args(annotation) for kind in _flatten(member)]
    return [annotation]


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    """Drop repetitions: one wrong default would be reported for each experiment that has it."""
    seen: dict[tuple[str, str, str], Problem] = {}
    for problem in problems:
        line = problem.place.split(" ")[0]
        seen.setdefault((line, problem.found, problem.expected), problem)
    return list(seen.values())

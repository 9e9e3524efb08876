"""Read config.yaml: every mistake at once, each with its line and, for a typo, the likely word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mobile_vla.config.checks import cross_checks
from mobile_vla.config.expansion import expand
from mobile_vla.config.experiment import Experiment
from mobile_vla.config.mistakes import mistake, short, unknown
from mobile_vla.config.presets import check_presets, include, layers_of, unknown_in_defaults
from mobile_vla.config.project import Project
from mobile_vla.config.source import Source, check_syntax
from mobile_vla.errors import Problem, Problems

OWN = [name for name in Project.model_fields if name != "sweeps"]  # these come of experiments
SECTIONS = (*OWN, "include", "presets", "defaults")


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


def read_project(file: Path) -> Project:
    """Read a configuration from one file, as Snakemake does.

    Raises:
        Problems: it is not YAML, or has mistakes; each with its place and what was expected.
    """
    check_syntax([file])
    return load_project(yaml.safe_load(file.read_text(encoding="utf-8")), [file])


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
            [Problem(source.fallback, f"found {short(config)}", "sections such as `datasets:`")],
        )
    problems += include(config, source)
    problems += source.problems
    problems += _unknown_sections(config, source)
    problems += unknown_in_defaults(config, source)
    problems += check_presets(config, source)
    sections = {key: value for key, value in config.items() if key in OWN}
    if isinstance(config.get("experiments"), dict):
        sections["sweeps"], mistakes = expand(config, source)
        problems += mistakes
        sections["experiments"], mistakes = _experiments(config, source)
        problems += mistakes
        if problems and not sections["experiments"]:
            raise Problems("config.yaml cannot be used", _distinct(problems))
    project, mistakes = _validate(sections, source)
    problems += mistakes
    if project is not None:
        names = {section: list(entries) for section, entries in _named(config).items()}
        problems += [
            Problem(source.place(path), found, expected, remedy)
            for path, found, expected, remedy in cross_checks(project, names)
        ]
    if problems:
        raise Problems("config.yaml cannot be used", _distinct(problems))
    assert project is not None  # it is only missing with problems
    return project


def _experiments(config: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Return each experiment with the settings of its preset and the defaults below its own.

    One whose preset is not there is left out: what it lacks would be reported for nothing.
    """
    defaults = config.get("defaults") or {}
    # What `defaults` misspells is reported once, there, and not for each experiment.
    known = {
        key: value
        for key, value in (defaults.items() if isinstance(defaults, dict) else ())
        if key in Experiment.model_fields and key != "preset"
    }
    found, problems = {}, []
    for name, changes in config["experiments"].items():
        preset, mistakes = layers_of(name, changes, config, source)
        problems += mistakes
        if not mistakes:
            found[name] = merge(merge(known, preset), changes)
    return found, problems


def _validate(sections: dict[str, Any], source: Source) -> tuple[Project | None, list[Problem]]:
    """Return the project, and the mistakes of its single settings.

    With mistakes, it is the project of the entries that have none, if there is one, so that
    the combinations of those can be checked too.
    """
    try:
        return Project.model_validate(sections), []
    except ValidationError as error:
        mistakes = error.errors()
    problems = [mistake(details, Project, source) for details in mistakes]
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
    return [unknown((str(key),), SECTIONS, source) for key in config if str(key) not in SECTIONS]


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    """Drop repetitions: one wrong default would be reported for each experiment that has it."""
    seen: dict[tuple[str, str, str], Problem] = {}
    for problem in problems:
        line = problem.place.split(" ")[0]
        seen.setdefault((line, problem.found, problem.expected), problem)
    return list(seen.values())

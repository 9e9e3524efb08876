"""Presets and included files: settings that stand elsewhere, put together before they are checked.

A preset is a named set of an experiment's settings. What an experiment is given is, the nearest
first: what it says itself, its preset, ``defaults``, and the settings' own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mobile_vla.config.base import Settings
from mobile_vla.config.checks import likely
from mobile_vla.config.experiment import Experiment
from mobile_vla.config.mistakes import mistake, short, unknown
from mobile_vla.config.project import Name
from mobile_vla.config.source import Source, check_syntax
from mobile_vla.errors import Problem

SHIPPED = "presets"
"""The folder of the presets that come with the project."""
INCLUDED = ("datasets", "backbones", "presets", "experiments")
"""Sections that an included file may hold: those whose entries have names."""

# What an experiment must have and a preset need not: any value, so that the rest can be checked.
STAND_INS = {"dataset": "any", "backbone": "any", "window": 1, "chunk": 1}


class _Presets(Settings):
    """The section ``presets``, to check its entries by themselves."""

    presets: dict[Name, Experiment]


def include(config: dict[str, Any], source: Source) -> list[Problem]:
    """Add the entries of the files that ``include`` names; their lines become known to ``source``.

    Args:
        config: the configuration; changed in place.
        source: where its settings stand.

    Returns:
        What is wrong with the files, or with ``include`` itself.

    Raises:
        Problems: a file cannot be read or is not YAML.
    """
    named = config.get("include") or []
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        expected = "a list of YAML files or folders of them, such as [presets]"
        return [Problem(source.place(("include",)), f"found {short(named)}", expected)]
    problems: list[Problem] = []
    for index, one in enumerate(listed):
        path = Path(one).expanduser()
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not files or not files[0].exists():
            found = f"{one} holds no *.yaml" if path.is_dir() else f"{one} is not there"
            expected = "files or folders, absolute or relative to the project"
            problems.append(Problem(source.place(("include", index)), found, expected))
            continue
        check_syntax(files)
        for file in files:
            problems += _add(config, file, source)
    return problems


def _add(config: dict[str, Any], file: Path, source: Source) -> list[Problem]:
    """Add one file's entries."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    expected = "sections " + ", ".join(INCLUDED)
    if not isinstance(content, dict):
        return [Problem(str(file), f"found {short(content)}", expected)]
    before = dict(source.lines)
    source.add(file)
    problems = []
    for section, entries in content.items():
        if section not in INCLUDED:
            place, found = source.place((section,)), f"{section!r} in an included file"
            problems.append(Problem(place, found, expected, "write it into config.yaml"))
            continue
        if not isinstance(entries, dict):
            place = source.place((section,))
            problems.append(Problem(place, f"found {short(entries)}", "a mapping of names"))
            continue
        own = config[section] = config.get(section) or {}
        if not isinstance(own, dict):
            continue  # it is reported where it stands
        for name, entry in entries.items():
            if name in own:
                first = before.get((section, name), source.fallback)
                place, found = source.place((section, name)), f"{name!r} stands in {first} too"
                problems.append(Problem(place, found, "each name once", "rename one of the two"))
            else:
                own[name] = entry
    return problems


def check_presets(config: Mapping[str, Any], source: Source) -> list[Problem]:
    """Return what is wrong with presets, be they used or not."""
    presets = config.get("presets") or {}
    if not isinstance(presets, dict):
        place = source.place(("presets",))
        return [Problem(place, f"found {short(presets)}", "a mapping of names to settings")]
    problems, whole = [], {}
    for name, preset in presets.items():
        if isinstance(preset, dict) and "preset" in preset:
            place = source.place(("presets", name, "preset"))
            found, expected = "a preset that names another", "its settings written out"
            problems.append(Problem(place, found, expected))
        whole[name] = {**STAND_INS, **preset} if isinstance(preset, dict) else preset
    try:
        _Presets.model_validate({"presets": whole})
    except ValidationError as error:
        problems += [mistake(details, _Presets, source) for details in error.errors()]
    return problems


def layers_of(
    name: str, experiment: Any, config: Mapping[str, Any], source: Source
) -> tuple[dict[str, Any], list[Problem]]:
    """Return what an experiment is given by its preset, and note where it comes from.

    Args:
        name: the experiment's name.
        experiment: its settings as they stand in the file.
        config: the configuration.
        source: learns where the experiment's settings may stand.

    Returns:
        The preset's settings without those that no experiment has, which are reported with the
        preset; empty without one. And what is wrong with the name.
    """
    chosen = experiment.get("preset") if isinstance(experiment, dict) else None
    if not isinstance(chosen, str):
        return {}, []  # anything but text is reported with the experiment's other settings
    presets = config.get("presets") or {}
    if not isinstance(presets, dict) or chosen not in presets:
        return {}, [_missing(name, chosen, presets, source)]
    source.layers.setdefault(name, [("defaults",)]).insert(-1, ("presets", chosen))
    settings = presets[chosen]
    if not isinstance(settings, dict):
        return {}, []
    known = {key: value for key, value in settings.items() if key in Experiment.model_fields}
    return {key: value for key, value in known.items() if key != "preset"}, []


def _missing(name: str, chosen: str, presets: Any, source: Source) -> Problem:
    known = [str(key) for key in presets] if isinstance(presets, dict) else []
    shipped = sorted(file.stem for file in Path(SHIPPED).glob("*.yaml"))
    remedy = ""
    if chosen in shipped:
        remedy = f"`include: [{SHIPPED}]` brings it"
    return Problem(
        source.place(("experiments", name, "preset")),
        f"unknown preset {chosen!r}",
        likely(chosen, known) if known else "the name of a preset, and there are none",
        remedy or f"`include:` names files with presets; the project's own are in {SHIPPED}/",
    )


def unknown_in_defaults(config: Mapping[str, Any], source: Source) -> list[Problem]:
    """Return what in ``defaults`` is no setting of an experiment."""
    defaults = config.get("defaults") or {}
    if not isinstance(defaults, dict):
        place = source.place(("defaults",))
        return [Problem(place, f"{defaults!r}", "a mapping of settings to values")]
    known = [name for name in Experiment.model_fields if name != "preset"]
    problems = []
    for key in defaults:
        if key == "preset":
            place = source.place(("defaults", "preset"))
            expected = "a preset in each experiment that is to have it"
            problems.append(Problem(place, "a preset among the defaults", expected))
        elif key not in known:
            problems.append(unknown(("defaults", str(key)), known, source))
    return problems

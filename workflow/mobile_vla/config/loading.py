"""Read config.yaml with its includes, presets and sweeps; every mistake at once, with its line.

An experiment's own settings come before its preset's, ``defaults``, and the types' defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mobile_vla.config.base import Settings
from mobile_vla.config.checks import adapters_unused, cross_checks
from mobile_vla.config.entries import Experiment
from mobile_vla.config.expansion import expand
from mobile_vla.config.head import head_type
from mobile_vla.config.mistakes import (
    COMMAND_LINE,
    Source,
    errors_of,
    likely,
    mistake,
    short,
    unknown,
)
from mobile_vla.config.mixtures import expand_lists
from mobile_vla.config.named import Name
from mobile_vla.config.project import Project
from mobile_vla.config.reading import CANNOT_BE_READ, MAX_DEPTH, MAX_ENTRIES, Document, read
from mobile_vla.errors import Problem, Problems

OWN = [name for name in Project.model_fields if name != "sweeps"]  # these come of experiments
SECTIONS = (*OWN, "include", "presets", "defaults")
INCLUDED = ("datasets", "backbones", "presets", "experiments")
"""Sections that an included file may hold: those whose entries have names."""
HEADING = "the configuration cannot be used"
SUCH_AS = "sections such as `datasets:`"
SHIPPED = Path(__file__).resolve().parents[3] / "presets"
"""The folder of the presets that come with the project."""
# What an experiment must have and a preset need not: any value, so that the rest can be checked.
STAND_INS = {"dataset": "any", "backbone": "any", "window": 1, "chunk": 1}


class _Presets(Settings):
    """The section ``presets``, to check its entries by themselves."""

    presets: dict[Name, Experiment]


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


def read_project(*files: Path, given: Mapping[str, Any] | None = None) -> Project:
    """Read a configuration; see :func:`read_with_source`."""
    return read_with_source(*files, given=given)[0]


def read_with_source(
    *files: Path, given: Mapping[str, Any] | None = None
) -> tuple[Project, Source]:
    """Read a configuration as Snakemake does: later files and the command line come first.

    Args:
        files: ``config.yaml`` and those of ``--configfile``.
        given: what ``--config`` says.

    Returns:
        The project, and where each of its settings stands.

    Raises:
        Problems: a file cannot be read, or there are mistakes; each with its place and what was
            expected.
    """
    documents = _read_all(files)
    problems = [problem for document in documents for problem in document.problems]
    if problems:
        raise Problems(HEADING, problems)
    given = _plain(given or {}, COMMAND_LINE)
    config: Any = {}
    for document in documents:
        if not isinstance(document.content, dict):
            found = f"found {short(document.content)}"
            if document.content is None:
                found = "the file is empty"
            raise Problems(HEADING, [Problem(f"{document.name}:1", found, SUCH_AS)])
        config = merge(config, document.content)
    return load_project(merge(config, given), documents, given)


def _read_all(files: Sequence[Path]) -> list[Document]:
    """Read files; what is wrong with all of them is said together."""
    documents, problems = [], []
    for file in files:
        try:
            documents.append(read(file))
        except Problems as error:
            problems += error.problems
    if problems:
        raise Problems(CANNOT_BE_READ, problems)
    return documents


def load_project(
    merged: Mapping[str, Any],
    documents: Sequence[Document] = (),
    given: Mapping[str, Any] | None = None,
) -> tuple[Project, Source]:
    """Validate a configuration that was merged from files and command line.

    Raises:
        Problems: all mistakes, each with its place and what was expected.
    """
    source = Source(documents, given)
    config = _plain(merged, source.fallback)
    problems = _include(config, source)
    problems += [unknown((str(key),), SECTIONS, source) for key in config if key not in SECTIONS]
    problems += _unknown_in_defaults(config, source)
    problems += _check_presets(config, source)
    sections = {key: value for key, value in config.items() if key in OWN}
    if isinstance(config.get("experiments"), dict):
        sections["sweeps"], mistakes = expand(config, source)
        problems += mistakes
        sections["experiments"], mistakes = _experiments(config, source)
        problems += mistakes
        datasets = config.get("datasets")
        if isinstance(datasets, dict):
            mixtures, mistakes = expand_lists(sections["experiments"], datasets, source)
            sections["datasets"] = {**datasets, **mixtures}
            problems += mistakes
        if problems and not sections["experiments"]:
            raise Problems(HEADING, _distinct(problems))
    project, mistakes = _validate(sections, source)
    problems += mistakes
    if project is not None:
        names = {section: list(entries) for section, entries in _named(config).items()}
        problems += [source.problem(*finding) for finding in cross_checks(project, names)]
    if problems:
        raise Problems(HEADING, _distinct(problems))
    assert project is not None  # it is only missing with problems
    return project, source


def _include(config: dict[str, Any], source: Source) -> list[Problem]:
    """Add the entries of the files that ``include`` names, and return what is wrong with them.

    Raises:
        Problems: a file cannot be read or is not YAML.
    """
    named = config.get("include") or []
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        expected = "a list of YAML files or folders of them, such as [presets]"
        return [source.problem(("include",), f"found {short(named)}", expected)]
    problems: list[Problem] = []
    entries = 0
    for index, one in enumerate(listed):
        files: list[Path] | None = None
        try:
            path = included(one)
            if path.is_dir():
                files = sorted(path.glob("*.yaml"))
            elif path.is_file():
                files = [path]
            lacking = "is neither file nor folder" if path.exists() else "is not there"
        except (OSError, RuntimeError):  # a name that is too long; the home of nobody
            lacking = "is not there"
        if not files:
            found = f"{short(one)} {lacking}" if files is None else f"{one} holds no *.yaml"
            expected = "files or folders, absolute or relative to the project"
            problems.append(source.problem(("include", index), found, expected))
            continue
        for document in _read_all(files):
            entries += document.entries
            if entries > MAX_ENTRIES:
                found = f"more than {MAX_ENTRIES} keys and values in included files"
                return [source.problem(("include", index), found, "fewer", "include less")]
            problems += _add(config, document, source)
    return problems


def included(name: str) -> Path:
    """Return where an included file or folder is.

    In a folder of work away from the project, ``presets`` are the project's own.
    """
    path = Path(name).expanduser()
    own = SHIPPED.parent / path
    return own if own.is_relative_to(SHIPPED) and not path.exists() else path


def _add(config: dict[str, Any], document: Document, source: Source) -> list[Problem]:
    """Add one included file's entries."""
    content = _plain(document.content, document.name)
    expected = "sections " + ", ".join(INCLUDED)
    if document.problems:
        return document.problems
    if not isinstance(content, dict):
        return [Problem(f"{document.name}:1", f"found {short(content)}", expected)]
    before, here = dict(source.lines), Source([document])
    source.lines = document.lines | before  # what is wrong with a section stands where it began
    problems = []
    for section, entries in content.items():
        if section not in INCLUDED:
            found, remedy = f"{section!r} in an included file", "write it into config.yaml"
            problems.append(here.problem((section,), found, expected, remedy))
            continue
        if not isinstance(entries, dict):
            found = f"found {short(entries)}"
            problems.append(here.problem((section,), found, "a mapping of names"))
            continue
        own = config[section] = config.get(section) or {}
        if not isinstance(own, dict):
            continue  # it is reported where it stands
        for name, entry in entries.items():
            if name in own:
                found = f"{name!r} stands in {before.get((section, name), source.fallback)} too"
                remedy = "rename one of the two"
                problems.append(here.problem((section, name), found, "each name once", remedy))
            else:
                own[name] = entry
    return problems


def _unknown_in_defaults(config: Mapping[str, Any], source: Source) -> list[Problem]:
    """Return what in ``defaults`` is no setting of an experiment."""
    defaults = config.get("defaults") or {}
    if not isinstance(defaults, dict):
        return [source.problem(("defaults",), f"{defaults!r}", "a mapping of settings to values")]
    known = [name for name in Experiment.model_fields if name != "preset"]
    problems = []
    for key in defaults:
        if key == "preset":
            found = "a preset among the defaults"
            expected = "a preset in each experiment that is to have it"
            problems.append(source.problem(("defaults", "preset"), found, expected))
        elif key not in known:
            problems.append(unknown(("defaults", str(key)), known, source))
    return problems


def _check_presets(config: Mapping[str, Any], source: Source) -> list[Problem]:
    """Return what is wrong with presets, be they used or not."""
    presets = config.get("presets") or {}
    if not isinstance(presets, dict):
        found = f"found {short(presets)}"
        return [source.problem(("presets",), found, "a mapping of names to settings")]
    problems, whole = [], {}
    for name, preset in presets.items():
        if isinstance(preset, dict) and "preset" in preset:
            found, expected = "a preset that names another", "its settings written out"
            problems.append(source.problem(("presets", name, "preset"), found, expected))
        whole[name] = {**STAND_INS, **preset} if isinstance(preset, dict) else preset
        if isinstance(preset, dict) and isinstance(preset.get("dataset"), list):
            whole[name]["dataset"] = STAND_INS["dataset"]  # checked in experiments that have it
    try:
        _Presets.model_validate({"presets": whole})
    except ValidationError as error:
        problems += [mistake(details, _Presets, source) for details in errors_of(error)]
    return problems


def _experiments(config: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Return each experiment with the settings of its preset and the defaults below its own.

    One whose preset is not there is left out: what it lacks would be reported for nothing.
    """
    defaults, presets = _known(config.get("defaults")), config.get("presets")
    presets = presets if isinstance(presets, dict) else {}
    found, problems = {}, []
    for name, changes in config["experiments"].items():
        chosen = changes.get("preset") if isinstance(changes, dict) else None
        if not isinstance(chosen, str):  # what is no text is reported with the other settings
            found[name] = _over(defaults, changes)
        elif chosen in presets:
            source.layers.setdefault(name, [("defaults",)]).insert(-1, ("presets", chosen))
            found[name] = _over(_over(defaults, _known(presets[chosen])), changes)
        else:
            problems.append(_missing(name, chosen, [str(key) for key in presets], source))
        finding = adapters_unused(changes, found.get(name))
        if finding is not None:
            problems.append(source.problem(("experiments", name, *finding[0]), *finding[1:]))
    return found, problems


def _over(below: Any, above: Any) -> Any:
    """Return settings of an experiment laid over those below it.

    A head of another type replaces the one below: the two have not the same settings.
    """
    merged = merge(below, above)
    before, now = (own.get("head") if isinstance(own, Mapping) else None for own in (below, above))
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return merged
    if "type" in now and head_type(before) != head_type(now):
        merged["head"] = now
    return merged


def _known(settings: Any) -> dict[str, Any]:
    """Return an experiment's settings among others, which are reported where they stand."""
    known = Experiment.model_fields.keys() - {"preset"}
    return {
        key: value
        for key, value in (settings.items() if isinstance(settings, dict) else ())
        if key in known
    }


def _missing(name: str, chosen: str, known: list[str], source: Source) -> Problem:
    """Return the problem of an experiment whose preset is not there."""
    remedy = f"`include:` names files with presets; the project's own are in {SHIPPED.name}/"
    if chosen in {file.stem for file in SHIPPED.glob("*.yaml")}:
        remedy = f"`include: [{SHIPPED.name}]` brings it"
    expected = likely(chosen, known) if known else "the name of a preset, and there are none"
    path = ("experiments", name, "preset")
    return source.problem(path, f"unknown preset {chosen!r}", expected, remedy)


def _validate(sections: dict[str, Any], source: Source) -> tuple[Project | None, list[Problem]]:
    """Return the project, and the mistakes of its single settings.

    With mistakes, it is the project of the entries that have none, if there is one, so that
    the combinations of those can be checked too.
    """
    try:
        return Project.model_validate(sections), []
    except ValidationError as error:
        mistakes = errors_of(error)
    problems = [mistake(details, Project, source) for details in mistakes]
    wrong = {details["loc"][:2] for details in mistakes}
    sound = {
        section: {name: entry for name, entry in entries.items() if (section, name) not in wrong}
        for section, entries in _named(sections).items()
    }
    try:
        return Project.model_validate({**sections, **sound}), problems
    except ValidationError:
        return None, problems


def _named(sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections whose entries have names."""
    return {
        section: sections[section]
        for section in ("datasets", "backbones", "experiments", "trials")
        if isinstance(sections.get(section), dict)
    }


def _plain(value: Any, place: str) -> Any:
    """Return plain dicts and lists that nobody else holds, aliases written out.

    Raises:
        Problems: there are more of them than a configuration has, or they hold themselves.
    """
    left = 2 * MAX_ENTRIES

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            found, expected = "more settings than a configuration has", f"{MAX_ENTRIES} at most"
            raise Problems(HEADING, [Problem(place, found, expected)])
        if isinstance(value, Mapping):
            return {str(key): copied(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [copied(item, depth + 1) for item in value]
        return value

    return copied(value, 0)


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    """Drop repetitions: one wrong default would be reported for each experiment that has it."""
    seen: dict[tuple[str, str, str], Problem] = {}
    for problem in problems:
        line = problem.place.split(" ")[0]
        seen.setdefault((line, problem.found, problem.expected), problem)
    return list(seen.values())

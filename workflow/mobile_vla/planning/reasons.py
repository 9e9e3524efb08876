"""Say in words why jobs would run: what differs from what is recorded of their last run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobile_vla.data.result import Manifest
from mobile_vla.errors import UserError
from mobile_vla.filesets import RESULTS
from mobile_vla.planning.jobs import PlannedJob
from mobile_vla.provenance.code import PACKAGE, ROOT, chosen_modules, code_of

LONGEST = 40  # characters of a value
NAMED = 3  # of several names
EPISODE = re.compile(r"datasets/[^/]+/episodes/(.+)(?<!\.provenance)\.json$")
OF_VIDEOS = re.compile(r"^(import_videos)_.*")  # each such job has a rule
UPDATED = re.compile(r"(?:^|; )Updated input files: (.*?)(?:; |$)")
SAID = {
    "Forced execution": "forced",
    "Incomplete output files": "its last run was cut off",
    "Code has changed": "the rule's command changed",
    "Software environment definition has changed": "its conda environment changed",
}
"""Reasons of Snakemake's with nothing to compare, and their words here."""

LISTS = frozenset({"features", "runs"})
"""Settings of the report that follow from others, such as which features there are."""

PREFIXES = re.compile(r"^(?:(?:run|policy|declared)\.)+")  # parts that config.yaml does not have

Difference = tuple[tuple[str, ...], Any, Any]  # a setting's path, its value before and now


def reasons(jobs: Sequence[PlannedJob]) -> list[str]:
    """Return why the jobs of one dataset, backbone or experiment, or the report's, would run.

    Nothing is said of jobs that only follow others.
    """
    jobs = sorted(jobs, key=lambda job: job.rule)  # Snakemake's order varies
    new = [job for job in jobs if not _ran(job)]
    if new and not _folder(jobs[0]).exists():
        return ["new"]
    again = [job for job in jobs if _ran(job)]
    said: dict[object, str] = {}  # what two stages say is said once, by its shorter name
    for job in again:
        for key, words in changed_settings(job):
            said[key] = min(said.get(key, words), words, key=len)
    lists: dict[object, str] = {key: said.pop(key) for key in list(said) if key in LISTS}
    modules = sorted({module for job in again for module in changed_modules(job)})
    if modules:
        said["code"] = f"{named(modules)} changed"
    for job in again:
        said.update((words, words) for words in [*changed_versions(job), *_files(job)])
    said.update((words, words) for words in [*_additions(new, jobs), *_contents(again)])
    said = said or lists
    if not said and any("Set of input files has changed" in job.reason for job in again):
        said["inputs"] = "it reads other files"
    return list(said.values())


def named(names: Sequence[str], most: int = NAMED) -> str:
    """Return names as a list, the first few of many."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"


def counted(count: int, noun: str) -> str:
    """Return a number of things, such as ``1 episode``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _ran(job: PlannedJob) -> bool:
    """Return whether anything is there of an earlier run."""
    return any(Path(path).exists() for path in job.outputs)


def _folder(job: PlannedJob) -> Path:
    """Return the folder of what a job belongs to."""
    kind, name = job.subject
    return RESULTS / "report.html" if kind == "report" else RESULTS / f"{kind}s" / name


def changed_settings(job: PlannedJob) -> Iterator[tuple[object, str]]:
    """Yield the settings that differ, each with what makes it the same in two stages."""
    last = job.last
    if last is None or last.settings is None:
        return
    # With new code come new settings, which nobody changed.
    both = any(module.startswith("config/") for module in changed_modules(job))
    for path, before, now in _differences(last.settings, job.settings, both):
        if isinstance(before, list) and isinstance(now, list) and _members(before + now):
            for words in _changed_members(before, now):
                yield words, words
            continue
        if path[-1] in LISTS:
            yield path[-1], f"{path[-1]} changed"
            continue
        name = PREFIXES.sub("", ".".join(path))
        old, new = shown(before), shown(now)
        short = max(len(old), len(new)) <= LONGEST
        yield (path[-1], old, new), f"{name} changed{f': {old} -> {new}' if short else ''}"


def _differences(
    before: Any, now: Any, both: bool, path: tuple[str, ...] = ()
) -> Iterator[Difference]:
    """Yield the values that differ; with ``both`` only of settings that both have."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            if not both or (name in before and name in now):
                yield from _differences(before.get(name), now.get(name), both, (*path, name))
    elif before != now:
        yield path, before, now


def shown(value: Any) -> str:
    """Return a setting's value as it stands in config.yaml, more or less."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _members(items: Sequence[Any]) -> dict[tuple[str, str], Any] | None:
    """Return a list of experiments or runs by their names; None for a list of something else."""
    members = {}
    for item in items:
        if not isinstance(item, dict) or not ({"experiment", "name"} & item.keys()):
            return None
        members[item.get("experiment") or item["name"], item.get("run", "")] = item
    return members


def _changed_members(before: Sequence[Any], now: Sequence[Any]) -> Iterator[str]:
    """Yield what is added to and removed from a list of experiments or runs."""
    old, new = _members(before) or {}, _members(now) or {}
    for here, there, words in ((new, old, "added"), (old, new, "removed")):
        others = {name for name, _ in there}
        whole = list(dict.fromkeys(name for name, _ in here if name not in others))
        if whole:
            one = f"experiment {whole[0]}" if len(whole) == 1 else f"{len(whole)} experiments"
            yield f"{one} {words}"
        for name, run in here:
            if name in others and (name, run) not in there:
                yield f"{run} of {name} {words}"
    if old == new:
        yield "the order of the experiments changed"
    elif old.keys() == new.keys():
        yield "settings of experiments changed"


def changed_modules(job: PlannedJob) -> list[str]:
    """Return the files of the library that differ, such as ``evaluation/metrics.py``."""
    if job.last is None:
        return []
    before = dict(line.split() for line in job.last.code)
    lines = [line for line in job.tracked if line.startswith(PACKAGE)]
    now = dict(line.split() for line in [*lines, *code_of(*chosen_modules(job.settings))])
    return [_file(module) for module in before if now.get(module, before[module]) != before[module]]


def _file(module: str) -> str:
    """Return a module's file, relative to the library."""
    path = "/".join(module.split(".")[1:])
    return f"{path}.py" if (ROOT / PACKAGE / f"{path}.py").is_file() else f"{path}/__init__.py"


def changed_versions(job: PlannedJob) -> Iterator[str]:
    """Yield the packages whose version differs."""
    if job.last is None:
        return
    lines = [line for line in job.tracked if not line.startswith(PACKAGE)]
    now: Mapping[str, str] = dict(line.split() for line in lines)
    for name, before in job.last.versions.items():
        if now.get(name, str(before)) != str(before):
            yield f"{name} changed: {before} -> {now[name]}"


def _files(job: PlannedJob) -> Iterator[str]:
    """Yield what differs in files: missing results, other sources, other episodes."""
    missing = [path for path in job.outputs if not Path(path).exists()]
    if missing:
        yield f"{named(missing, 1)} missing"
    elif job.last is None:
        yield f"{job.rule} ran with another version of the project"
    for phrase, words in SAID.items():
        if phrase in job.reason:
            yield words
    updated = UPDATED.search(job.reason)
    if updated and updated[1]:
        yield f"{named(updated[1].split(', '))} changed"
    if job.rule == "manifest":
        yield from _episodes(job)


def _episodes(job: PlannedJob) -> Iterator[str]:
    """Yield how many episodes a dataset gets, and how many it loses."""
    file = next(Path(path) for path in job.outputs if path.endswith("manifest.json"))
    try:
        manifest = Manifest.read(file)
    except UserError:
        return
    before = {used.episode for used in manifest.episodes}
    before |= {unused.episode for unused in manifest.quarantined}
    now = {match[1] for path in job.inputs if (match := EPISODE.search(path))}
    for names, words in ((now - before, "added"), (before - now, "removed")):
        if names:
            yield f"{counted(len(names), 'episode')} {words}"


def _episodes_of(job: PlannedJob) -> int:
    """Return how many episodes a job reads: one of a name, or those that it decodes of a video."""
    return "episode" in job.wildcards or sum(map(bool, map(EPISODE.search, job.outputs)))


def _additions(new: Sequence[PlannedJob], jobs: Sequence[PlannedJob]) -> Iterator[str]:
    """Yield what was never computed, of something that has results."""
    known = any(job.rule == "manifest" and _ran(job) for job in jobs)
    rules = set()
    for job in new:
        run = job.wildcards.get("run")
        if run is not None and not (_folder(job) / run).exists():
            yield f"{run} added"
        elif "key" in job.wildcards:
            yield f"features of {job.wildcards['dataset']} not computed yet"
        elif not (_episodes_of(job) and known):  # the manifest knows what was added
            rules.add(OF_VIDEOS.sub(r"\1", job.rule))
    if rules:
        yield f"not computed yet: {', '.join(sorted(rules))}"


def _contents(again: Sequence[PlannedJob]) -> Iterator[str]:
    """Yield which files from outside differ: of their bytes no provenance holds a digest."""
    changed = [
        job
        for job in again
        if "Params have changed" in job.reason
        and not (any(changed_settings(job)) or changed_modules(job) or any(changed_versions(job)))
    ]
    episodes = sum(map(_episodes_of, changed))
    if episodes:
        yield f"{counted(episodes, 'episode')} changed"
    if any(job.rule == "pretrained_backbone" for job in changed):
        yield "the checkpoint's files changed"

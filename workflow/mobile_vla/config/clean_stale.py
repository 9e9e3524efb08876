"""List results that config.yaml no longer names, and remove them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from mobile_vla.config.loading import read_project
from mobile_vla.config.project import Project
from mobile_vla.filesets import RESULTS, Files, place
from mobile_vla.layout import (
    BackboneFiles,
    EpisodeFiles,
    EvaluationFiles,
    FeatureFiles,
    FigureFiles,
    KeptRows,
    ManifestFiles,
    OtherEvaluationFiles,
    RawFiles,
    TableFiles,
    TimingFiles,
    TrialFiles,
)

NAMED: tuple[type[Files], ...] = (
    *(ManifestFiles, RawFiles, EpisodeFiles, BackboneFiles, FeatureFiles, KeptRows),
    *(TimingFiles, EvaluationFiles, OtherEvaluationFiles, FigureFiles, TableFiles, TrialFiles),
)
"""A kind of files for each folder, and each set of files, that has a name of config.yaml."""


def clean_stale(*, remove: bool = False) -> None:
    """List the results that no part of config.yaml makes, with their sizes.

    Args:
        remove: remove what is listed.

    Raises:
        UserError: config.yaml has mistakes.
    """
    paths = list(stale(read_project(Path("config.yaml")), RESULTS))
    for path in paths:
        print(f"{_size(path) / 1e6:10.1f} MB  {path}")
        if remove:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not paths:
        print("nothing in results/ is stale")
    elif not remove:
        print("nothing was removed; `make clean-stale YES=1` removes these")


def stale(project: Project, results: Path) -> Iterator[Path]:
    """Yield the folders and files below ``results`` that no part of the configuration makes."""
    kept: set[Path] = set()
    for kind, names in _made(project):
        for pattern in kind.patterns():
            path = place(results, pattern, names)
            kept |= {path, *path.parents}
    there = {
        path for kind in NAMED for pattern in kind.patterns() for path in _at(results, pattern)
    }
    # Which episodes a folder of recordings has, config.yaml does not say.
    unknown = {
        path.parent
        for dataset in project.datasets
        if project.simulation(dataset) is None
        for kind in (RawFiles, EpisodeFiles)
        for path in kind.below(results, dataset=dataset, episode="*").listed()
    }
    removed: set[Path] = set()
    for path in sorted(there - kept):
        if path.parent not in unknown and removed.isdisjoint(path.parents):
            removed.add(path)
            yield path


def _made(project: Project) -> Iterator[tuple[type[Files], dict[str, str]]]:
    """Yield what the configuration makes: a kind of files, and the names that it fills in."""
    for dataset in project.datasets:
        yield ManifestFiles, {"dataset": dataset}
        for episode in project.simulation(dataset) or ():
            yield RawFiles, {"dataset": dataset, "episode": episode}
            yield EpisodeFiles, {"dataset": dataset, "episode": episode}
    for backbone in project.backbones:
        yield BackboneFiles, {"backbone": backbone}
    for keys in project.feature_keys():
        names = dict(zip(("dataset", "backbone", "cut", "key"), keys, strict=True))
        yield FeatureFiles, names
        yield KeptRows, names
    for name, experiment in project.experiments.items():
        yield TimingFiles, {"experiment": name}
        for run in project.runs_of(name):
            yield EvaluationFiles, {"experiment": name, "run": run}
            for dataset in (*project.mixed(name), *experiment.evaluate_on):
                yield OtherEvaluationFiles, {"experiment": name, "run": run, "dataset": dataset}
    for trial in project.trials:
        yield TrialFiles, {"trial": trial}
    page = project.page()
    for figure in page.figures:
        yield FigureFiles, {"figure": figure}
    for table in page.table_names():
        yield TableFiles, {"table": table}


def _at(results: Path, pattern: str) -> Iterator[Path]:
    """Yield the folders and files that stand where a pattern has a name in braces."""
    parts = [re.sub(r"{\w+}", "*", part) for part in Path(pattern).parts]
    for depth, part in enumerate(Path(pattern).parts, start=1):
        if "{" in part:
            for path in results.glob("/".join(parts[:depth])):
                if depth == len(parts) or path.is_dir():
                    yield path


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())

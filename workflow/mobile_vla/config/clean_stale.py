"""Results that config.yaml no longer names: listed, and removed on wish."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mobile_vla.config.loading import read_project
from mobile_vla.config.project import Project
from mobile_vla.errors import UserError


def stale(project: Project, results: Path) -> Iterator[Path]:
    """Yield the folders and files below ``results`` that no part of the configuration makes."""
    for section, names in (
        ("datasets", set(project.datasets)),
        ("backbones", set(project.backbones)),
        ("experiments", set(project.experiments)),
    ):
        for folder in _children(results / section):
            if folder.name not in names:
                yield folder
    for experiment in project.experiments:
        runs = project.runs_of(experiment)
        for folder in _children(results / "experiments" / experiment):
            if folder.is_dir() and folder.name not in runs:
                yield folder
    scores = set(project.scores())
    for experiment, run in project.runs():
        for folder in _children(results / "experiments" / experiment / run / "on"):
            if (experiment, run, folder.name) not in scores:
                yield folder
    unmade = [] if project.compares_sizes() else ["figures/error_by_training_size.*"]
    unmade += [] if project.has_ablation() else ["figures/speed_ablation.*"]
    unmade += [] if project.reported_sweeps() else ["figures/sweeps.*", "tables/sweeps.csv"]
    unmade += [] if scores else ["tables/elsewhere.csv"]
    for pattern in unmade:
        yield from sorted(results.glob(pattern))
    for dataset in project.datasets:
        simulated = project.simulation(dataset)
        if simulated is not None:
            for kind in ("raw", "episodes"):
                for file in _children(results / "datasets" / dataset / kind):
                    if file.name.split(".")[0] not in simulated:
                        yield file
    keys = {"/".join([d, b, f"{cut}-{key}"]) for d, b, cut, key in project.feature_keys()}
    for file in sorted((results / "features").glob("*/*/*")):
        stem = file.name.split(".")[0]
        if f"{file.parent.parent.name}/{file.parent.name}/{stem}" not in keys:
            yield file


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main() -> int:
    """List what is stale, and remove it on wish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--remove", action="store_true", help="remove what is listed")
    remove = parser.parse_args().remove
    file, results = Path("config.yaml"), Path("results")
    try:
        project = read_project(file)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    found = list(stale(project, results))
    for path in found:
        print(f"{_size(path) / 1e6:10.1f} MB  {path}")
        if remove:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not found:
        print("nothing in results/ is stale")
    elif not remove:
        print("nothing was removed; `make clean-stale YES=1` removes these")
    return 0


if __name__ == "__main__":
    sys.exit(main())

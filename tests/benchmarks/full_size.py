"""A full-size Kosmos-2 LoRA fine-tune, timed by the workflow before anything is downloaded.

    python tests/benchmarks/full_size.py

Random weights (1.66 billion, bf16, 3.3 GB in a temporary folder), LoRA r = 32 on q, k, v and out,
bf16 where the hardware has it. Nine training and three validation episodes of 18 frames, windows of
4 frames and chunks of 10: an episode's five windows are a batch, 8 distinct frames.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.project import Project

# By name: what an experiment of the benchmark does differently from DEFAULTS.
Experiments = dict[str, dict[str, Any]]

DEFAULTS: dict[str, Any] = {
    "dataset": "few",
    "backbone": "kosmos2",
    "window": 4,
    "chunk": 10,
    "prompt": {"template": "Navigate around the box on the {side} side and reach the target"},
    "lora": {"r": 32, "alpha": 16, "dropout": 0.1},
    "head": {"layers": 4, "hidden_size": 512},
    "timing": {"warmup_steps": 1, "steps": 5},
    "training": {
        "epochs": 20,
        "batch_size": 5,
        "segment": 5,
        "learning_rate": 1e-4,
        "precision": "auto",
        "threads": 2,
    },
    "features": {"threads": 2},
}
FULL = {"weights": "random", "precision": "bf16"}


def project_in(folder: Path, experiments: Experiments, backbone: dict[str, Any]) -> Project:
    """Return a project with the users' training set and some experiments on it."""
    defaults = copy.deepcopy(DEFAULTS)
    config = {
        "datasets": {
            "few": {
                "kind": "simulated",
                "simulation": {"scenes": 6, "world": {"frames": 18}},
                "split": {"train": 0.75, "val": 0.25, "test": 0.0, "stratify_by": []},
            }
        },
        "backbones": {"kosmos2": backbone},
        "features": defaults.pop("features"),
        "defaults": defaults,
        "experiments": experiments,
    }
    return Project(folder, yaml.safe_dump(config))


def made(project: Project, *targets: str) -> float:
    """Build targets; return the seconds that took."""
    started = time.perf_counter()
    project.build(*targets, timeout=3600)
    return time.perf_counter() - started


def timing_of(project: Project, name: str) -> dict[str, Any]:
    """Return an experiment's ``timing.json``."""
    found: dict[str, Any] = json.loads(
        (project.folder / f"results/experiments/{name}/timing.json").read_text()
    )
    return found


def lines(timing: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures of an experiment, each with its name."""
    memory, step = timing["memory"], timing["seconds_per_step"]
    return [
        ("device", f"{timing['device_name']}, {timing['threads']} threads, {timing['precision']}"),
        ("distinct frames a step", f"{timing['frames_per_step']:.1f}"),
        (
            "a step, s (median, range)",
            f"{step['median']:.3g} ({step['min']:.3g}–{step['max']:.3g})",
        ),
        ("operations of a frame, 10⁹", f"{timing['flops']['frame']['counted'] / 1e9:.0f}"),
        ("rate reached, 10⁹ a second", f"{timing['achieved_rate'] / 1e9:.0f}"),
        ("rate of a matrix product, 10⁹ a second", f"{timing['matrix_rate'] / 1e9:.0f}"),
        ("share of it", f"{100 * timing['share_of_matrix_rate']:.0f} %"),
        ("waiting for data", f"{100 * timing['data_share']:.2f} %"),
        ("an epoch with its validation, s", f"{timing['seconds_per_epoch']:.4g}"),
        ("of it validation, s", f"{timing['validation_seconds']:.3g}"),
        ("20 epochs, s", f"{timing['projected_seconds']:.4g}"),
        ("peak memory, GB", f"{memory['measured'] / 1e9:.2f}"),
        ("peak memory as estimated, GB", f"{memory['estimate']['total'] / 1e9:.2f}"),
        ("other work on the machine", "yes" if timing["contended"] else "no"),
    ]


def show(title: str, rows: list[tuple[str, str]]) -> None:
    """Print a table of two columns."""
    print(f"\n| {title} | |\n| --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Time the users' run."""
    with tempfile.TemporaryDirectory() as name:
        experiments: Experiments = {
            "lora": {"timing_only": True},
            "no_dropout": {"timing_only": True, "lora": {"dropout": 0}},
        }
        project = project_in(Path(name), experiments, FULL)
        weights = made(project, "results/backbones/kosmos2/backbone.json")
        data = made(project, "results/datasets/few/split.json")
        rest = made(project, "results/experiments/lora/timing.html")
        show("LoRA of the full size", lines(timing_of(project, "lora")))
        made(project, "results/experiments/no_dropout/timing.html")
        show("without the adapters' dropout", lines(timing_of(project, "no_dropout")))
        show(
            "once, and not an epoch's",
            [
                ("drawing and writing the weights, s", f"{weights:.0f}"),
                ("simulating and reading the episodes, s", f"{data:.0f}"),
                ("features of 216 frames, loading and timing, s", f"{rest:.0f}"),
            ],
        )


if __name__ == "__main__":
    main()

"""All figures of a machine with a GPU, in one call.

    python tests/benchmarks/gpu.py
    python tests/benchmarks/gpu.py --small      # the same with a tiny model, to try the script

The full-size fine-tune of full_size.py: its share of the measured matrix rate as the batch grows
until memory ends, the ablation from the plain way, and the users' whole run of 20 epochs, trained.
On a machine without a GPU the same is done on the processor; at the full size that takes hours.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from full_size import FULL, lines, made, project_in, show, timing_of

from support.project import Project

TINY = {"hidden_size": 64, "layers": 2, "heads": 4, "ffn": 128}
SMALL: dict[str, Any] = {"weights": "random", "vision": TINY, "text": TINY}
# Windows a batch; all 45 windows of the training set hold 72 distinct frames.
BATCHES = (5, 10, 15, 25, 45)


def shares(project: Project) -> None:
    """Print rate and memory by batch size, until a batch does not fit."""
    print("\n| windows a batch | frames | share of the matrix rate | a frame, ms | peak, GB |")
    print("| --- | --- | --- | --- | --- |")
    for size in BATCHES:
        name = f"batch{size}"
        done = project.snakemake(
            "--cores", "2", f"results/experiments/{name}/timing.html", timeout=3600
        )
        if done.status:
            reason = next((line for line in done.output.splitlines() if "memory" in line), "")
            print(f"| {size} | did not fit: {reason.strip() or done.output[-300:]} | | | |")
            return
        found = timing_of(project, name)
        frames, step = found["frames_per_step"], found["seconds_per_step"]["median"]
        print(
            f"| {size} | {frames:.0f} | {100 * found['share_of_matrix_rate']:.0f} % "
            f"| {1e3 * step / frames:.3g} | {found['memory']['measured'] / 1e9:.2f} |",
            flush=True,
        )


def ablation(found: dict[str, Any]) -> None:
    """Print the ablation from the plain way."""
    print("\n| way | number format | an epoch, s | times faster | times fewer operations |")
    print("| --- | --- | --- | --- | --- |")
    for variant in found["ablation"]:
        fewer = "" if variant["flops_ratio"] is None else f"{variant['flops_ratio']:.1f}"
        print(
            f"| {variant['name']} | {variant['precision']} | {variant['seconds_per_epoch']:.4g} "
            f"| {variant['speedup']:.1f} | {fewer} |",
            flush=True,
        )


def trained(project: Project, seconds: float) -> None:
    """Print what the users' whole run took."""
    results = json.loads(
        (project.folder / "results/experiments/users/seed0/training_results.json").read_text()
    )
    rows = [
        ("trained, 20 epochs with validation: an epoch on average, s", results["avg_epoch_time"]),
        ("the whole job, loading included, s", seconds),
    ]
    show("the users' run", [(what, f"{value:.4g}") for what, value in rows])


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="with a tiny model")
    small = parser.parse_args().small
    experiments: dict[str, Any] = {
        "users": {},
        "ablation": {
            "timing_only": True,
            "timing": {"ablation": True, "warmup_steps": 3, "steps": 10},
        },
        **{
            f"batch{size}": {
                "timing_only": True,
                "timing": {"warmup_steps": 3, "steps": 10},
                "training": {"batch_size": size},
            }
            for size in BATCHES
        },
    }
    with tempfile.TemporaryDirectory() as name:
        project = project_in(Path(name), experiments, SMALL if small else FULL)
        made(project, "results/experiments/ablation/timing.html")
        show("LoRA, W=4, C=10", lines(timing_of(project, "ablation")))
        ablation(timing_of(project, "ablation"))
        shares(project)
        trained(project, made(project, "results/experiments/users/seed0/training_results.json"))


if __name__ == "__main__":
    main()

"""What the demo's scores owe to chance, and to the order of the windows.

    python tests/benchmarks/demo.py

The shipped configuration's LoRA experiment with five seeds, on batches of one segment of eight
neighbouring windows, of several shorter ones, and of windows drawn independently, for equally many
epochs; then the shipped segments' first seed's drives in 200 unseen scenes, on both sides of the
box. The results are made by the workflow itself.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from mobile_vla.config.training import Training
from support.project import ROOT, Project

SEEDS = [0, 1, 2, 3, 4]
SCENES = 200
SEGMENTS = (8, 4, 2, 1)  # neighbouring windows that stay together, in batches of 8
SHIPPED = Training().segment
FIRST = f"results/experiments/segment{SHIPPED}/seed0"


def config() -> str:
    """Return the shipped configuration with the two experiments alone."""
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    shipped["defaults"] |= {"seeds": SEEDS, "rollout": {"scenes": SCENES, "film_strips": 0}}
    shipped["experiments"] = {
        f"segment{count}": {"training": {"segment": count}} for count in SEGMENTS
    }
    return yaml.safe_dump(shipped)


def show(folder: Path) -> None:
    """Print the tables."""
    comparison = json.loads((folder / "results/comparison.json").read_text())
    print("| experiment | MAE, mean of the seeds | interval | single seeds | selection loss |")
    print("| --- | --- | --- | --- | --- |")
    for experiment in comparison["experiments"]:
        name, mae = experiment["experiment"], experiment["mae"]
        runs = [folder / f"results/experiments/{name}/seed{seed}" for seed in SEEDS]
        scores = [
            json.loads((run / "evaluation.json").read_text())["policy"]["mae"]["overall"]
            for run in runs
        ]
        losses = [
            json.loads((run / "policy/policy.json").read_text())["metrics"]["val_loss"]
            for run in runs
        ]
        print(
            f"| {name} | {mae['value']:.3f} | {mae['low']:.3f} to {mae['high']:.3f} "
            f"({mae['episodes']} episodes) | {', '.join(f'{one:.3f}' for one in scores)} "
            f"| {sum(losses) / len(losses):.4f} |"
        )
    for pair in comparison["groups"][0]["pairs"]:
        print(
            f"\n{' − '.join(pair['experiments'])}: {pair['difference']:+.4f} "
            f"({pair['low']:+.4f} to {pair['high']:+.4f}); {pair['text']}"
        )
    rollouts = json.loads((folder / FIRST / "rollouts.json").read_text())
    print(f"\n| driver | successes in {rollouts['scenes']} scenes | rate, 95 % interval |")
    print("| --- | --- | --- |")
    for name, driver in rollouts["drivers"].items():
        found = driver["success"]
        print(
            f"| {name} | {found['successes']} of {found['trials']} | {100 * found['rate']:.1f} % "
            f"({100 * found['low']:.1f} to {100 * found['high']:.1f}) |"
        )


def main() -> None:
    """Compute and print."""
    with tempfile.TemporaryDirectory() as name:
        project = Project(Path(name), config())
        project.build("results/comparison.json", f"{FIRST}/rollouts.json", timeout=7200)
        show(Path(name))


if __name__ == "__main__":
    main()

"""Adapters on the top layers alone: what a step takes, what is stored, and what it costs in error.

    python tests/benchmarks/cut.py steps         a step, stored bytes, counted operations
    python tests/benchmarks/cut.py accuracy 2    the demo, on a backbone of so many language layers

Steps are those of one process, in turn: each is compared with full LoRA's of its round. Backbone:
Kosmos-2 of width 256, 2 + 6 layers, 64 tokens an image, random weights, float32. The accuracy is
that of the shipped demo's LoRA experiment without mirror images, and the tests are those of the
report: each number of layers beside full LoRA, over the test episodes.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.features import AFTER_PROMPT, FeatureKey
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora
from mobile_vla.config.training import TrainSettings
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.features.result import FeatureDescription
from mobile_vla.layout import EvaluationFiles, RolloutFiles
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.runs.data import open_run
from mobile_vla.timing.flops import counted
from mobile_vla.training.trainer import Trainer, build_trainer
from support.project import ROOT, Project
from support.tiny import make_backbone
from support.training_run import Inputs, settings_of

LAYERS = 6
CUTS = (None, 6, 4, 3, 2, 1)  # layers; None: all, and the action token
VISION = {"hidden_size": 64, "layers": 2, "heads": 4, "ffn": 128}
TEXT = {"hidden_size": 256, "layers": LAYERS, "heads": 4, "ffn": 1024, "vocabulary": 1500}
ROUNDS = 15


def named(layers: int | None) -> str:
    """Return how a number of layers is called in the tables."""
    return "all" if layers is None else str(layers)


def run_of(layers: int | None) -> TrainSettings:
    """Return a run with adapters on some layers, and eight windows a step."""
    run = settings_of(batch_size=8, accumulation=1, epochs=1000)
    policy = run.policy.model_copy(update={"lora": Lora(layers=layers), "head": Lstm()})
    return run.model_copy(update={"policy": policy})


def trainer_of(layers: int | None, inputs: Inputs, folder: Path) -> tuple[Trainer, int, float]:
    """Store features; return a trainer on them, bytes a frame, and seconds of storing all."""
    run = run_of(layers)
    policy, path = run.policy, folder / f"{named(layers)}.json"
    prompt = policy.prompt if policy.cut in AFTER_PROMPT else None
    key = FeatureKey(cut=policy.cut, precision="fp32", prompt=prompt, layers=layers)
    started = time.perf_counter()
    inputs.store(key, path)
    seconds = time.perf_counter() - started
    data = open_run(run, inputs.of_run(features=[path]), "fp32")
    row = 4 * math.prod(FeatureDescription.read(path).shape[1:])
    return build_trainer(run, data), row, seconds


def steps(folder: Path) -> None:
    """Print a line for each number of layers."""
    torch.set_num_threads(1)
    inputs = Inputs.make(folder)
    backbone = make_backbone(folder / "wide", vision=VISION, text=TEXT, image_tokens=64)
    inputs = replace(inputs, backbone=backbone)
    made = {layers: trainer_of(layers, inputs, folder) for layers in CUTS}
    seconds: dict[int | None, list[float]] = {layers: [] for layers in CUTS}
    operations = {}
    order = made[None][0].epoch_steps(0)
    for number in range(ROUNDS + 1):
        batches = order[number % len(order)]
        for layers, (trainer, *_) in made.items():
            if not number:  # warms up
                operations[layers] = counted(lambda: trainer.step(0, batches))  # noqa: B023
                continue
            started = time.perf_counter()
            trainer.step(number, batches)
            seconds[layers].append(time.perf_counter() - started)
    print("| layers | a step, s | of full LoRA's | operations | bytes a frame | storing, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for layers, (_, size, storing) in made.items():
        ratios = [a / b for a, b in zip(seconds[layers], seconds[None], strict=True)]
        print(
            f"| {named(layers)} | {statistics.median(seconds[layers]):.3f} "
            f"| {statistics.median(ratios):.2f} | {operations[layers] / operations[None]:.2f} "
            f"| {size:,} | {storing:.1f} |",
            flush=True,
        )


def config(count: int) -> str:
    """Return the shipped configuration with an experiment for each number of layers."""
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    shipped["backbones"]["tiny"]["text"]["layers"] = count
    shipped["defaults"]["augment"] = {"mirror": False}  # half the time
    shipped["experiments"] = {
        f"layers_{named(layers)}": {"lora": {"layers": layers}}
        for layers in CUTS
        if layers is None or layers <= count
    }
    shipped["experiments"]["layers_none"] = {"finetune": "none"}
    return yaml.safe_dump(shipped)


def accuracy(folder: Path, count: int) -> None:
    """Print a line for each number of layers, compared with full LoRA."""
    project = Project(folder, config(count))
    names = yaml.safe_load(project.config)["experiments"]
    driven = [str(RolloutFiles.below(experiment=name, run="seed0").rollouts) for name in names]
    project.build("results/comparison.json", *driven, timeout=7200)
    show(folder / "results")


def show(results: Path) -> None:
    """Print the table of a comparison."""
    (group,) = ComparisonResult.read(results / "comparison.json").groups
    columns = ("layers", "MAE", "more than full LoRA's", "interval", "p, corrected",
               "MAE under shuffled prompts", "arrives, of the rollouts")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    first = "layers_all"
    for member in group.experiments:
        name = member.experiment
        line = [name.removeprefix("layers_"), f"{member.mae.value:.4f}", "", "", ""]
        for pair in group.pairs:
            if {name, first} == set(pair.experiments):
                sign = 1 if pair.experiments[0] == name else -1
                low, high = sorted((sign * pair.low, sign * pair.high))
                line[2:] = (f"{sign * pair.difference:+.4f}", f"{low:+.4f} … {high:+.4f}",
                            f"{pair.p_holm:.2g}")  # fmt: skip
        run = {"experiment": name, "run": "seed0"}
        scores = EvaluationResult.read(EvaluationFiles.below(results, **run).evaluation)
        drives = RolloutResult.read(RolloutFiles.below(results, **run).rollouts)
        success = drives.drivers["policy"].success
        line.append(f"{scores.controls['shuffled_prompt'].mae['overall']:.3f}")
        line.append(f"{success.successes} of {success.trials}")
        print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        if sys.argv[1:2] == ["accuracy"]:
            accuracy(Path(name, "project"), int(sys.argv[2]))
        else:
            steps(Path(name))

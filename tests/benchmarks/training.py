"""Epochs of training beside the plain way: seconds, counted operations, waiting for data, memory.

    python tests/benchmarks/training.py

The plain way (mobile_vla.timing.reference) runs each frame of each window through the whole model,
live. It trains the same parameters on the same windows, in the same process, in turn with ours. It
is flattered: its frames were decoded and resized before. Ours reads stored features; what storing
them took is printed beside. Backbone: Kosmos-2 of width 256, 4 + 4 layers, 64 tokens an image,
random weights, float32.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

import numpy as np

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.random_backbone import random_backbone
from mobile_vla.config.backbone import BackboneSettings, RandomBackbone
from mobile_vla.config.features import ExtractSettings, FeatureKey, Features
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings, RunSettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.training import Training
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.frames import open_frames
from mobile_vla.features.features import FeatureInputs
from mobile_vla.features.features import features as extract
from mobile_vla.features.store import FrameRows
from mobile_vla.files import write_json
from mobile_vla.layout import BackboneFiles, FeatureFiles
from mobile_vla.machine import default_device, peak_memory, use_threads
from mobile_vla.result import FileDigest
from mobile_vla.runs.data import RunData, RunInputs, open_run
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.samples import Samples
from mobile_vla.timing.flops import counted
from mobile_vla.timing.reference import PerWindow
from mobile_vla.timing.timing import TimedBatches
from mobile_vla.training.trainer import Trainer
from support.synthetic_datasets import make_dataset, names, write_roles

THREADS = 2
SIZE = {"hidden_size": 256, "layers": 4, "heads": 4, "ffn": 1024}
PROMPT = Prompt(template="Navigate around the box on the {side} side and reach the target")

HEAD = Lstm()


@dataclass(frozen=True)
class Case:
    """A training set and how a policy is trained on it.

    Args:
        title: its name in the table.
        lengths: frames of each training episode.
        windows: how they become windows.
        head: the head.
        batch_size: windows a step.
        finetune: ``lora`` or ``none``.
        rounds: reference epochs that are timed.
        repeats: our epochs for each of them.
    """

    title: str
    lengths: tuple[int, ...]
    windows: Windows
    head: Lstm = HEAD
    batch_size: int = 8
    finetune: str = "lora"
    rounds: int = 3
    repeats: int = 3


LONG = Windows(window=8, chunk=10, target="current", tail="mask")
CASES = (
    Case("LoRA, 64 frames, W=8, current, 8 windows a step", (64,), LONG),
    Case("LoRA, 64 frames, W=8, current, 16 windows a step", (64,), LONG, batch_size=16),
    Case("LoRA, 64 frames, W=8, current, 57 windows a step", (64,), LONG, batch_size=57),
    Case("LoRA, 13 × 18 frames, W=4, next", (18,) * 13, Windows(window=4, chunk=10)),
    Case(
        "LoRA, 13 × 18 frames, W=8, next, tail: mask",
        (18,) * 13,
        Windows(window=8, chunk=10, tail="mask"),
    ),
    Case(
        "head alone, LSTM 1×512, 64 frames, W=8",
        (64,),
        LONG,
        Lstm(layers=1, hidden_size=512),
        batch_size=57,
        finetune="none",
        repeats=30,
    ),
    Case(
        "head alone, LSTM 4×512, 64 frames, W=8",
        (64,),
        LONG,
        Lstm(layers=4, hidden_size=512),
        finetune="none",
        repeats=10,
    ),
)


def backbone_in(folder: Path) -> Path:
    """Write the backbone."""
    settings = RandomBackbone.model_validate({"weights": "random", "vision": SIZE, "text": SIZE})
    description = folder / "backbone.json"
    random_backbone(BackboneSettings(name="made", backbone=settings), BackboneFiles(description))
    return description


def policy_of(case: Case) -> PolicySettings:
    """Return a case's policy."""
    return PolicySettings(
        window=case.windows.window,
        chunk=case.windows.chunk,
        finetune="lora" if case.finetune == "lora" else "none",
        lora=Lora() if case.finetune == "lora" else None,
        full=None,
        head=case.head,
        prompt=PROMPT,
        actions=Actions(),
    )


def opened(case: Case, folder: Path, backbone: Path) -> tuple[RunData, float]:
    """Write a case's episodes, one more for validation, and their features; open them."""
    episodes = names(len(case.lengths) + 1)
    data = folder / "dataset"
    lengths = dict(zip(episodes, (*case.lengths, case.lengths[0]), strict=True))
    make_dataset(data, lengths, frames=True)
    write_roles(data / "split.json", {"train": episodes[:-1], "val": episodes[-1:]})
    policy, features = policy_of(case), folder / "features.json"
    key = FeatureKey(
        cut=policy.cut, precision="fp32", prompt=PROMPT if policy.cut == "readout" else None
    )
    started = time.perf_counter()
    extract(
        ExtractSettings(
            dataset="made", backbone="made", key=key, compute=Features(threads=THREADS)
        ),
        FeatureInputs(
            manifest=data / "manifest.json", actions=data / "actions.npy", backbone=backbone
        ),
        FeatureFiles(features.with_suffix(".npy"), features),
        threads=THREADS,
    )
    seconds = time.perf_counter() - started
    return read(case, folder, backbone), seconds


def read(case: Case, folder: Path, backbone: Path) -> RunData:
    """Open a case's files."""
    data = folder / "dataset"
    run = RunSettings(
        experiment="made", run="seed0", seed=0, windows=case.windows, policy=policy_of(case)
    )
    inputs = RunInputs(
        manifest=data / "manifest.json",
        actions=data / "actions.npy",
        split=data / "split.json",
        backbone=backbone,
        features=[folder / "features.json"],
    )
    return open_run(run, inputs, "fp32")


def trainer_of(case: Case, data: RunData) -> Trainer:
    """Return a trainer of a case."""
    training = Training(
        epochs=1000,
        batch_size=case.batch_size,
        segment=case.batch_size,
        precision="fp32",
        threads=THREADS,
    )
    policy = build_policy(policy_of(case), 0, data, cut="pixels")
    return Trainer(policy, training, data.samples["train"], 0, "fp32")


class Epochs:
    """One epoch after another, each with an order of its own."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.number = 0

    def one(self, source: Samples, cut: Any) -> float:
        """Train an epoch on a source; return its seconds."""
        trainer = self.trainer
        before = trainer.samples, trainer.cut
        steps = trainer.epoch_steps(self.number)
        trainer.samples, trainer.cut = source, cut
        trainer.policy.encoder.stock = isinstance(source, PerWindow)
        started = time.perf_counter()
        for index, batches in enumerate(steps):
            trainer.step(self.number * len(steps) + index, batches)
        seconds = time.perf_counter() - started
        trainer.samples, trainer.cut = before
        self.number += 1
        return seconds


def compare(case: Case, folder: Path, backbone: Path) -> None:
    """Print a case's line."""
    data, storing = opened(case, folder, backbone)
    trainer = trainer_of(case, data)
    epochs, own = Epochs(trainer), data.samples["train"]
    plain = PerWindow(own, FrameRows(open_frames(data.dataset), "plain"))
    operations = [
        counted(lambda source=source, cut=cut: epochs.one(source, cut))
        for source, cut in ((plain, "pixels"), (own, None))
    ]
    slow, fast, ratios, waiting = [], [], [], []
    for _ in range(case.rounds):
        slow.append(epochs.one(plain, "pixels"))
        ours = []
        for _ in range(case.repeats):
            watched = TimedBatches(own)
            ours.append(epochs.one(watched, None))
            waiting.append(watched.seconds / ours[-1])
        fast.append(statistics.median(ours))
        ratios.append(slow[-1] / fast[-1])
    line = (
        case.title,
        f"{len(own)}",
        f"{statistics.median(slow):.2f}",
        f"{statistics.median(fast):.4g}",
        f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})",
        f"{operations[0] / operations[1]:.1f}",
        f"{100 * statistics.median(waiting):.2f} %",
        f"{storing:.1f}",
    )
    print(f"| {' | '.join(line)} |", flush=True)


def peak_of(count: int, folder: Path, backbone: Path) -> int:
    """Return the peak of a process that trains 300 steps on some of that many episodes."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps([count, str(folder), str(backbone)])],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1])


MEMORY = Case("memory", (18,), Windows(window=4, chunk=10))
STEPS = 300


def learn(count: int, folder: Path, backbone: Path) -> None:
    """Write features of many episodes, train on them, and print the peak."""
    use_threads(THREADS, THREADS, "training.threads")
    data = read(MEMORY, folder, backbone)
    trainer = trainer_of(MEMORY, data)
    number = 0
    for epoch in range(10**6):
        for batches in trainer.epoch_steps(epoch):
            trainer.step(number, batches)
            number += 1
            if number == STEPS:
                print(peak_memory(default_device()))
                return


def many(count: int, folder: Path, backbone: Path) -> None:
    """Write a dataset of many episodes, with features of the true size and no frames."""
    episodes = names(count + 1)
    data = folder / "dataset"
    dataset = make_dataset(data, dict.fromkeys(episodes, 18))
    write_roles(data / "split.json", {"train": episodes[:-1], "val": episodes[-1:]})
    shape = (dataset.rows, 64, SIZE["hidden_size"])
    array = folder / "features.npy"
    stored = np.lib.format.open_memmap(array, mode="w+", dtype=np.float32, shape=shape)
    rng = np.random.default_rng(0)
    for start in range(0, dataset.rows, 256):
        stored[start : start + 256] = rng.normal(size=stored[start : start + 256].shape)
    stored.flush()
    del stored
    key = FeatureKey(cut="image_embeds", precision="fp32", prompt=None)
    write_json(
        folder / "features.json",
        {
            "cut": "image_embeds",
            "key": key.model_dump(mode="json"),
            "precision": "fp32",
            "dtype": "float32",
            "shape": list(shape),
            **FileDigest.of(array).model_dump(),
            "manifest": dataset.digest,
            "backbone": Checkpoint.read(backbone).digest,
        },
    )


def memory(backbone: Path) -> None:
    """Print the peak of training by the number of episodes."""
    print("\n| episodes | features, MB | peak of training, MB |\n| --- | --- | --- |", flush=True)
    for count in (13, 100, 1000):
        with tempfile.TemporaryDirectory() as name:
            many(count, Path(name), backbone)
            size = (Path(name) / "features.npy").stat().st_size
            peak = peak_of(count, Path(name), backbone)
            print(f"| {count} | {size / 1e6:.0f} | {peak / 1e6:.0f} |", flush=True)


def main() -> None:
    """Print both tables."""
    use_threads(THREADS, THREADS, "training.threads")
    columns = ("case", "windows", "plain way, s an epoch", "ours, s", "ratio (range)",
               "operations, ratio", "waiting for data", "storing features once, s")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        backbone = backbone_in(Path(name))
        for index, case in enumerate(CASES):
            compare(case, Path(name) / str(index), backbone)
        memory(backbone)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        count, folder, description = json.loads(sys.argv[1])
        learn(count, Path(folder), Path(description))
    else:
        main()

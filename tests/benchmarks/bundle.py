"""A full-size policy as a bundle: memory and time of the export, and steps beside PyTorch.

    python tests/benchmarks/bundle.py [FOLDER]

Random weights (1.66 billion, bf16, 3.3 GB) with LoRA r = 32; nothing is trained. Export and
quantisation run in processes of their own, whose peak memory is measured: all of it, and without
the pages of files that are only mapped, which the system drops when it needs them (Linux only). The
steps of all formats are timed in turn, on one thread each. It needs 12 GB of disk, and a machine
that is not busy.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# Threads of PyTorch that wait for work would take the processor from onnxruntime's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

import numpy as np
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.random_backbone import random_backbone
from mobile_vla.bundle import runtime
from mobile_vla.bundle.graphs import export_encoder, export_head, prompt_vectors
from mobile_vla.bundle.measuring import peak_memory
from mobile_vla.bundle.quantisation import quantise_encoder
from mobile_vla.config.backbone import BackboneSettings, RandomBackbone
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.layout import BackboneFiles
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from support.training_run import origin_of

TEXTS = tuple(
    f"Navigate around the box on the {side} side and reach the target" for side in ("left", "right")
)
SETTINGS = PolicySettings(
    window=4,
    chunk=10,
    finetune="lora",
    lora=Lora(r=32),
    full=None,
    head=Lstm(layers=4, hidden_size=512),
    prompt=Prompt(),
    actions=Actions(),
)
DESCRIBED = {"window": 4, "units": [1.0, 1.0], "prompts": list(TEXTS)}
FULL: dict[str, Any] = {"weights": "random", "precision": "bf16"}
STEPS = 12  # of each format, the first two of which do not count


def make(folder: Path, size: dict[str, Any]) -> None:
    """Write a backbone, and a policy that no training has touched."""
    backbone = RandomBackbone.model_validate(size)
    description = folder / "backbone/backbone.json"
    random_backbone(BackboneSettings(name="full", backbone=backbone), BackboneFiles(description))
    checkpoint = Checkpoint.read(description)
    model = checkpoint.model(torch.bfloat16)
    policy = Policy(SETTINGS, model, checkpoint.processor(), TEXTS, seed=0)
    policy.save_pretrained(folder / "policy", checkpoint, origin_of())


def load(folder: Path, precision: str) -> Policy:
    """Load the policy in a number format."""
    checkpoint = Checkpoint.read(folder / "backbone/backbone.json")
    return Policy.from_pretrained(folder / "policy", checkpoint, precision)


def export(folder: Path) -> None:
    """Export the policy in fp32."""
    policy = load(folder, "fp32")
    start, vectors = prompt_vectors(policy.encoder)
    place = folder / "fp32"
    place.mkdir()
    np.savez(place / "prompts.npz", **{f"prompt{row}": one for row, one in enumerate(vectors)})
    model = policy.encoder.backbone.merge_and_unload()
    files = place / "encoder.onnx", place / "encoder.data"
    export_encoder(model, policy.encoder, start, vectors[0], *files)
    export_head(policy, start.shape[1], place / "head.onnx")


def quantise(folder: Path) -> None:
    """Quantise what was exported."""
    whole, place = folder / "fp32", folder / "int8"
    place.mkdir()
    names = "encoder.onnx", "encoder.data"
    quantise_encoder(*(whole / name for name in names), *(place / name for name in names))
    for name in ("head.onnx", "prompts.npz"):
        (place / name).write_bytes((whole / name).read_bytes())


def measured(work: Callable[[Path], None], folder: Path) -> tuple[float, float, float]:
    """Do something in a process of its own.

    Returns:
        Its seconds, its peak memory in GB, and that without the pages of mapped files.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, folder, sender))
    begun = time.perf_counter()
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("it failed")
    whole, private = receiver.recv()
    return time.perf_counter() - begun, whole / 1e9, private / 1e9


def _child(work: Callable[[Path], None], folder: Path, sender: Any) -> None:
    torch.set_num_threads(1)
    private, ended = [0], threading.Event()

    def watch() -> None:
        status = Path("/proc/self/status")
        while not ended.wait(0.05):
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            private[0] = max(private[0], 1024 * int(lines["RssAnon"].split()[0]))

    watching = threading.Thread(target=watch)
    watching.start()
    work(folder)
    ended.set()
    watching.join()
    sender.send((peak_memory(), private[0]))


def timed(folder: Path) -> dict[str, np.ndarray]:
    """Return the seconds of steps of each format, taken in turn."""
    torch.set_num_threads(1)
    frame = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    bundles = {
        f"onnxruntime {name}": runtime.BundleStream(
            runtime.Bundle(folder / name, DESCRIBED, (), 1), 0
        )
        for name in ("fp32", "int8")
    }
    policy = Stream(load(folder, "bf16"), [0], "bf16")
    steps: dict[str, Callable[[], Any]] = {
        "PyTorch bf16": lambda: policy.step(frame),
        **{
            name: lambda stream=stream: stream.step(frame[0])  # type: ignore[misc]
            for name, stream in bundles.items()
        },
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(STEPS):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begun)
    return {name: np.array(one[2:]) for name, one in seconds.items()}


def main(folder: Path, size: dict[str, Any] = FULL) -> None:
    """Measure all of it, and print it as a table."""
    found = {
        "make": measured(partial(make, size=size), folder),
        "export": measured(export, folder),
        "quantise": measured(quantise, folder),
    }
    print("| | seconds | peak memory, GB | without mapped files, GB | on disk, GB |")
    print("| --- | --- | --- | --- | --- |")
    for name, place in (("make", "backbone"), ("export", "fp32"), ("quantise", "int8")):
        seconds, memory, private = found[name]
        disk = sum(file.stat().st_size for file in (folder / place).iterdir()) / 1e9
        print(f"| {name} | {seconds:.0f} | {memory:.2f} | {private:.2f} | {disk:.2f} |", flush=True)
    steps = timed(folder)
    base = float(np.median(steps["PyTorch bf16"]))
    print("\n| a step | median, s | range | times as fast |\n| --- | --- | --- | --- |")
    for name, one in steps.items():
        median = float(np.median(one))
        print(f"| {name} | {median:.4g} | {one.min():.4g}–{one.max():.4g} | {base / median:.2f} |")
    print(f"\nload average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))

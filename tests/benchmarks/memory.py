"""The estimate of a step's peak memory beside the measured one, on several configurations.

    python tests/benchmarks/memory.py

Each configuration is a process of its own, because what is measured is the peak of a process. The
backbone has 256 to 1024 wide layers and random weights; its file lies in a temporary folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).resolve().parents[n] / d) for n, d in ((1, ""), (2, "workflow"))]

SIZES = {
    256: {"layers": 4, "ffn": 1024, "heads": 4},
    1024: {"layers": 12, "ffn": 4096, "heads": 16},
}
# width, fine-tuning, precision, gradient checkpointing, distinct frames, accumulation
CONFIGURATIONS = [
    (256, "lora", "fp32", False, 64, 1),
    (256, "lora", "bf16", False, 64, 1),
    (256, "full", "fp32", False, 16, 1),
    (256, "none", "fp32", False, 448, 1),
    (1024, "lora", "fp32", False, 16, 1),
    (1024, "lora", "bf16", False, 16, 1),
    (1024, "lora", "bf16", True, 16, 1),
    (1024, "lora", "bf16", False, 32, 1),
    (1024, "full", "fp32", False, 4, 1),
    (1024, "full", "bf16", True, 4, 2),
]


def backbone(folder: Path, width: int) -> Path:
    """Write a random backbone of a width, in bf16."""
    from mobile_vla.backbone.random_backbone import random_backbone
    from mobile_vla.config.backbone import BackboneSettings, RandomBackbone
    from mobile_vla.layout import BackboneFiles

    size = {"hidden_size": width, **SIZES[width]}
    settings = RandomBackbone.model_validate(
        {"weights": "random", "precision": "bf16", "vision": size, "text": size}
    )
    description = folder / str(width) / "backbone.json"
    random_backbone(BackboneSettings(name="made", backbone=settings), BackboneFiles(description))
    return description


def measured(description: str, finetune: str, precision: str, checkpointing: bool, frames: int,
             accumulation: int) -> None:  # fmt: skip
    """Estimate, then take three steps, and print both peaks as JSON."""
    import numpy as np
    import torch

    from mobile_vla.backbone.checkpoint import Checkpoint
    from mobile_vla.backbone.kosmos2 import sizes_of
    from mobile_vla.config.training import Training
    from mobile_vla.machine import default_device, peak_memory, use_threads
    from mobile_vla.model.adapter import load_backbone
    from mobile_vla.model.policy import Policy
    from mobile_vla.runs.samples import Batch
    from mobile_vla.training.memory import WorstCase, estimate
    from mobile_vla.training.trainer import Trainer
    from support.policy_settings import policy_settings

    use_threads(1, 1, "training.threads")
    checkpoint = Checkpoint.read(Path(description))
    config = checkpoint.config()
    sizes = sizes_of(config)
    settings = policy_settings(finetune, window=8, chunk=10)
    text = "Navigate around the box on the left side and reach the target"
    model = load_backbone(checkpoint, settings, precision, settings.cut)
    policy = Policy(settings, model, checkpoint.processor(), (text,), 0)
    windows = 8
    case = WorstCase(
        frames=frames,
        windows=windows,
        tokens=int(policy.encoder.action.max()) + 1,
        accumulation=accumulation,
        precision=precision,
        checkpointing=checkpointing,
        cut=settings.cut,
    )
    device = default_device()
    found = estimate(config, settings, case, device.type)
    shape = {
        "pixels": (224, 224, 3),
        "image_embeds": (sizes.image_tokens, sizes.width),
        "readout": (sizes.width,),
    }[settings.cut]
    features = torch.zeros(frames, *shape, dtype=torch.uint8) if settings.cut == "pixels" else None

    class Zeros:
        """Batches of a constant size."""

        table = SimpleNamespace(mask=np.ones((windows, 10), dtype=bool), drawn_windows=windows)

        def __len__(self) -> int:
            return windows

        def batch(self, indices, key=None):
            dtype = torch.bfloat16 if precision == "bf16" and settings.cut != "readout" else None
            rows = torch.zeros(frames, *shape, dtype=dtype) if features is None else features
            return Batch(
                features=rows,
                prompts=torch.zeros(frames, dtype=torch.long),
                windows=torch.randint(frames, (windows, 8)),
                targets=torch.zeros(windows, 10, 2),
                mask=torch.ones(windows, 10, dtype=torch.bool),
            )

    training = Training(gradient_checkpointing=checkpointing, precision=precision, epochs=1)
    trainer = Trainer(policy, training, Zeros(), 0, precision)
    for number in range(3):
        trainer.step(number, [np.arange(windows)] * accumulation)
    print(json.dumps({"estimate": found.model_dump(), "measured": peak_memory(device)}))


def main() -> None:
    """Print a line for each configuration."""
    columns = ("width", "fine-tuning", "precision", "checkpointing", "frames × batches")
    columns += ("estimate, GB", "measured, GB", "error")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = {width: backbone(Path(folder), width) for width in SIZES}
        for width, *rest in CONFIGURATIONS:
            done = subprocess.run(
                [sys.executable, __file__, json.dumps([str(made[width]), *rest])],
                capture_output=True,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            total, peak = found["estimate"]["total"], found["measured"]
            kind, precision, checkpointing, frames, accumulation = rest
            print(f"| {width} | {kind} | {precision} | {'yes' if checkpointing else 'no'} "
                  f"| {frames} × {accumulation} | {total / 1e9:.2f} | {peak / 1e9:.2f} "
                  f"| {100 * (total / peak - 1):+.0f} % |", flush=True)  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measured(*json.loads(sys.argv[1]))
    else:
        main()

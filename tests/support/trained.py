"""What training and timing leave behind, for tests of the report that train nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.reporting import ReportedRun
from mobile_vla.files import write_json, write_text
from mobile_vla.provenance.result import Commit, Provenance

FRAMES, WINDOW = 20, 4  # of an episode; of a window
EPOCHS = 12
SECOND = {"lora": 2.1, "lora_r8": 2.0, "head_only": 0.31, "full_finetune": 9.6}
TRAINED = {
    "lora": {"adapter": 131072, "action_token": 64, "head": 1249300},
    "lora_r8": {"adapter": 32768, "action_token": 64, "head": 1249300},
    "head_only": {"head": 1249300},
    "full_finetune": {"vision": 812032, "projection": 40960, "text": 663552, "head": 1249300},
}


def write_training(folder: Path, own: ReportedRun, index: int, roles: dict[str, list[str]]) -> None:
    """Write what a training leaves in its run's folder: twelve epochs that get better."""
    rng = np.random.default_rng(100 + index)
    lines = ["epoch,step,learning_rate,train_loss,val_loss,gradient_norm,clipped"]
    val = []
    for epoch in range(EPOCHS):
        train = 0.11 * math.exp(-0.3 * epoch) + 0.012 + rng.uniform(0, 0.004)
        val.append(0.1 * math.exp(-0.25 * epoch) + 0.018 + 0.0008 * epoch + rng.uniform(0, 0.004))
        lines.append(f"{epoch},{(epoch + 1) * 12},{1e-4},{train!r},{val[-1]!r},0.8,0.0")
    write_text(folder / "metrics.csv", "\n".join(lines) + "\n")
    seconds = SECOND.get(own.experiment, 2.0)
    times = (seconds * rng.uniform(0.95, 1.1, EPOCHS)).tolist()
    trained = TRAINED.get(own.experiment, TRAINED["lora"])
    per_episode = FRAMES - WINDOW - own.settings["chunk"] + 1
    write_json(
        folder / "training_results.json",
        {
            "experiment": own.experiment,
            "run": own.run,
            "epochs": EPOCHS,
            "steps": 12 * EPOCHS,
            "best_epoch": int(np.argmin(val)),
            "best_val_loss": min(val),
            "initial_val_loss": val[0],
            "final_val_loss": val[-1],
            "stopped_early": False,
            "avg_epoch_time": float(np.mean(times)),
            "epoch_times": times,
            "total_time": sum(times) + 3.0,
            "parameters": {
                "backbone_total": 2_310_144,
                "trainable": dict(sorted(trained.items())),
                "trainable_total": sum(trained.values()),
            },
            "padding": None,
            "policy_bytes": 4 * sum(trained.values()) + 2048,
            "device": "cpu",
            "precision": "fp32",
            "threads": 1,
            "cut": {"head_only": "readout", "full_finetune": "pixels"}.get(
                own.experiment, "image_embeds"
            ),
            "windows": {role: per_episode * len(names) for role, names in roles.items()},
            "episodes": {role: len(names) for role, names in roles.items()},
            "frames": {role: FRAMES * len(names) for role, names in roles.items()},
        },
    )


def _ladder(seconds: float) -> list[dict[str, Any]]:
    """A ladder that ends with an epoch of so many seconds."""
    rungs = {"per window": (20, 12), "frame cache": (7, 12), "feature cache": (1.8, 1.9)}
    rungs |= {"distinct frames": (1.3, 1), "bf16": (1, 1)}
    return [
        {
            "name": name,
            "precision": "bf16" if name == "bf16" else "fp32",
            "seconds_per_epoch": seconds * times,
            "flops_per_epoch": round(3e9 * flops),
            "speedup": 20 / times,
            "flops_ratio": 12 / flops,
        }
        for name, (times, flops) in rungs.items()
    ]


def write_timing(folder: Path, name: str, ladder: bool) -> None:
    """Write the timing of an experiment, with or without a ladder, into its folder."""
    step = SECOND.get(name, 2.0) / 12
    write_json(
        folder / "timing.json",
        {
            "experiment": name,
            "run": "seed0",
            "device": "cpu",
            "threads": 1,
            "precision": "fp32",
            "warmup_steps": 3,
            "steps": 10,
            "seconds_per_step": {"median": step, "min": 0.94 * step, "max": 1.2 * step},
            "steps_per_epoch": 12,
            "validation_seconds": 0.1,
            "seconds_per_epoch": 12 * step + 0.1,
            "epochs": EPOCHS,
            "projected_seconds": EPOCHS * (12 * step + 0.1),
            "windows_per_second": 8 / step,
            "data_share": 0.004,
            "share_of_matrix_rate": 0.31,
            "memory": {"measured": 640_000_000, "estimate": {"total": 660_000_000}},
            "ladder": _ladder(12 * step) if ladder else [],
            "load_average": 0.4,
            "contended": name == "head_only",
        },
    )


def write_provenance(path: Path, stage: str, dirty: bool) -> None:
    """Write the record of how an output was made."""
    provenance = Provenance(
        stage=stage,
        settings={"threads": 1},
        inputs={},
        code=["mobile_vla.errors 0123abcd", f"mobile_vla.{stage} 89ab4567"],
        versions={"numpy": "2.4.6", "torch": "2.13.0" if stage == "train" else None},
        git=Commit(commit="4f2a9c1e7d3b" + "0" * 28, dirty=dirty),
        command=f"python -m mobile_vla {stage} --settings '{{\"threads\": 1}}'",
        host="workstation-3",
        device="cpu" if stage == "train" else None,
        threads=1 if stage == "train" else None,
        python="3.11.7",
        started="2025-11-20T09:12:44+00:00",
        finished="2025-11-20T09:13:10+00:00",
        seconds=26.2,
    )
    provenance.write(path)

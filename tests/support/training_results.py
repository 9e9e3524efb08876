"""What training and timing leave behind, for tests of the report that train nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mobile_vla.config.features import Cut
from mobile_vla.config.reporting import ReportedRun
from mobile_vla.provenance.record import Commit, Provenance
from mobile_vla.timing.result import (
    OperationCount,
    OperationCounts,
    PeakMemory,
    StepSeconds,
    TimingResult,
    VariantTime,
)
from mobile_vla.training.result import (
    DrivenValidation,
    Epoch,
    MemoryEstimate,
    ParameterCounts,
    TrainingResult,
    write_metrics,
)

FRAMES, WINDOW = 20, 4  # of an episode; of a window
EPOCHS = 12
SECOND = {"lora": 2.1, "lora_r8": 2.0, "head_only": 0.31, "full_finetune": 9.6}
TRAINED = {
    "lora": {"adapter": 131072, "action_token": 64, "head": 1249300},
    "lora_r8": {"adapter": 32768, "action_token": 64, "head": 1249300},
    "head_only": {"head": 1249300},
    "full_finetune": {"vision": 812032, "projection": 40960, "text": 663552, "head": 1249300},
}
CUTS: dict[str, Cut] = {"head_only": "readout", "full_finetune": "pixels"}


def epoch_of(number: int, train_loss: float, val_loss: float, **padded: float) -> Epoch:
    """Return an epoch of twelve steps with these losses, and those of padding if there is any."""
    return Epoch(
        epoch=number,
        step=(number + 1) * 12,
        learning_rate=1e-4,
        train_loss=train_loss,
        val_loss=val_loss,
        gradient_norm=0.8,
        val_mae={"linear_x": 2 * val_loss, "linear_y": 3 * val_loss},
        clipped=0.0,
        **padded,
    )


def write_training(folder: Path, own: ReportedRun, index: int, roles: dict[str, list[str]]) -> None:
    """Write what a training leaves in its run's folder: twelve epochs that get better."""
    rng = np.random.default_rng(100 + index)
    epochs = []
    for number in range(EPOCHS):
        train = 0.11 * math.exp(-0.3 * number) + 0.012 + rng.uniform(0, 0.004)
        val = 0.1 * math.exp(-0.25 * number) + 0.018 + 0.0008 * number + rng.uniform(0, 0.004)
        success = {"val_success": round(40 * (0.9 - 5 * val)) / 40} if own.driven else {}
        epochs.append(epoch_of(number, train, val, **success))
    write_metrics(folder / "metrics.csv", epochs)
    losses = [epoch.val_loss for epoch in epochs]
    best = min(epochs, key=lambda epoch: (-(epoch.val_success or 0), epoch.val_loss))
    times = (SECOND.get(own.experiment, 2.0) * rng.uniform(0.95, 1.1, EPOCHS)).tolist()
    trained = TRAINED.get(own.experiment, TRAINED["lora"])
    windows = FRAMES - WINDOW - own.settings["chunk"] + 1  # of an episode
    TrainingResult(
        experiment=own.experiment,
        run=own.run,
        seed=0,
        fold=0,
        dataset=own.dataset,
        backbone=own.backbone,
        epochs=EPOCHS,
        steps=12 * EPOCHS,
        best_epoch=best.epoch,
        best_val_loss=best.val_loss,
        initial_val_loss=losses[0],
        final_val_loss=losses[-1],
        driven=None
        if best.val_success is None
        else DrivenValidation(scenes=20, drives=40, best_success=best.val_success),
        stopped_early=False,
        avg_epoch_time=float(np.mean(times)),
        epoch_times=times,
        total_time=sum(times) + 3.0,
        parameters=ParameterCounts(
            backbone_total=2_310_144,
            trainable=dict(sorted(trained.items())),
            trainable_total=sum(trained.values()),
        ),
        padding=None,
        policy_bytes=4 * sum(trained.values()) + 2048,
        device="cpu",
        precision="fp32",
        threads=1,
        cut=CUTS.get(own.experiment, "image_embeds"),
        windows={role: windows * len(names) for role, names in roles.items()},
        episodes={role: len(names) for role, names in roles.items()},
        frames={role: FRAMES * len(names) for role, names in roles.items()},
    ).write(folder / "training_results.json")


def _ablation(seconds: float) -> list[VariantTime]:
    """Return an ablation that ends with an epoch of so many seconds."""
    variants = {"per window": (20, 12), "frame cache": (7, 12), "feature cache": (1.8, 1.9)}
    variants |= {"distinct frames": (1.3, 1), "bf16": (1, 1)}
    return [
        VariantTime(
            name=name,
            precision="bf16" if name == "bf16" else "fp32",
            seconds_per_epoch=seconds * times,
            flops_per_epoch=round(3e9 * flops),
            speedup=20 / times,
            flops_ratio=12 / flops,
        )
        for name, (times, flops) in variants.items()
    ]


def timing_of(name: str, ablation: bool = False, total: int = 660_000_000) -> TimingResult:
    """Return the timing of an experiment.

    Args:
        name: the experiment.
        ablation: whether it is compared with the plain way of training.
        total: bytes that a step was estimated to take.
    """
    step = SECOND.get(name, 2.0) / 12
    operations = OperationCount(counted=6_000_000_000, formula=6_000_000_000)
    parts = {"process": 550_000_000, "weights": 0, "moments": 0, "step": 0, "allocator": 0}
    return TimingResult(
        experiment=name,
        run="seed0",
        device="cpu",
        device_name="a processor",
        threads=1,
        processes=1,
        precision="fp32",
        cut="image_embeds",
        versions={"torch": "2.13.0"},
        warmup_steps=3,
        steps=10,
        seconds_per_step=StepSeconds(median=step, min=0.94 * step, max=1.2 * step),
        data_share=0.004,
        steps_per_epoch=12,
        windows_per_step=8,
        frames_per_step=18.7,
        windows_per_second=8 / step,
        validation_seconds=0.1,
        seconds_per_epoch=12 * step + 0.1,
        epochs=EPOCHS,
        projected_seconds=EPOCHS * (12 * step + 0.1),
        load_average=0.4,
        contended=name == "head_only",
        flops=OperationCounts(frame=operations, step=operations),
        matrix_rate=1e11,
        achieved_rate=3.1e10,
        share_of_matrix_rate=0.31,
        memory=PeakMemory(
            measured=640_000_000,
            estimate=MemoryEstimate(**parts, total=total),
            limit_gb=None,
            adapter=0,
        ),
        ablation=_ablation(12 * step) if ablation else [],
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

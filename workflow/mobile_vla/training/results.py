"""What a run has come to: ``training_results.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobile_vla.config.training import TrainSettings
from mobile_vla.model.adapter import trainable_parameters
from mobile_vla.model.meta import backbone_parameters
from mobile_vla.runs.data import RunData
from mobile_vla.training.history import Epoch, best_of
from mobile_vla.training.trainer import Trainer


def training_results(
    settings: TrainSettings, trainer: Trainer, data: RunData, history: Sequence[Epoch], folder: Path
) -> dict[str, Any]:
    """Return the content of ``training_results.json``.

    Args:
        settings: the run.
        trainer: as it was at the end.
        data: what it was trained on.
        history: its epochs.
        folder: where its best policy lies.
    """
    policy, best = trainer.policy, best_of(history)
    seconds = [epoch.seconds for epoch in history]
    trainable = trainable_parameters(policy)
    device = trainer.accelerator.device
    return {
        "experiment": settings.experiment,
        "run": settings.run,
        "seed": settings.seed,
        "fold": settings.fold,
        "dataset": data.dataset.name,
        "backbone": data.backbone.name,
        "epochs": len(history),
        "steps": history[-1].step,
        "best_epoch": best.epoch,
        "best_val_loss": best.validation.loss,
        "initial_val_loss": history[0].validation.loss,
        "final_val_loss": history[-1].validation.loss,
        "stopped_early": len(history) < trainer.epochs,
        "avg_epoch_time": sum(seconds) / len(seconds),
        "epoch_times": seconds,
        "total_time": sum(seconds),
        "parameters": {
            "backbone_total": backbone_parameters(data.backbone.config()),
            "trainable": trainable,
            "trainable_total": sum(trainable.values()),
        },
        "padding": _padding(trainer, best),
        "policy_bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "device": device.type,
        "precision": trainer.precision,
        "threads": settings.training.threads,
        "cut": settings.policy.cut,
        "windows": {role: len(samples) for role, samples in data.samples.items()},
        "episodes": {role: len(members) for role, members in data.roles.of.items()},
        "frames": {
            role: int(data.dataset.lengths[list(members)].sum())
            for role, members in data.roles.of.items()
        },
    }


def _padding(trainer: Trainer, best: Epoch) -> dict[str, Any] | None:
    """Return how padding dilutes the loss that was minimised; None without padding."""
    objective = trainer.objective
    if objective.padding is None:
        return None
    return {
        "action_dim": objective.padding.action_dim,
        "velocities": objective.learned,
        "averaged_over": objective.arm,
        "best_val_loss_arm_act": best.validation.padded["loss_arm_act"],
    }

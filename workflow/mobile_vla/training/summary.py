"""The summary of a run at its end: ``training_results.json``."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.training import TrainSettings
from mobile_vla.model.adapter import backbone_parameters, trainable_parameters
from mobile_vla.runs.data import RunData
from mobile_vla.training.history import best_of
from mobile_vla.training.loop import Position
from mobile_vla.training.result import Epoch, PaddingResult, ParameterCounts, TrainingResult
from mobile_vla.training.trainer import Trainer


def summary_of(
    settings: TrainSettings, trainer: Trainer, data: RunData, position: Position, folder: Path
) -> TrainingResult:
    """Return the content of ``training_results.json``.

    Args:
        settings: the run.
        trainer: as it is at the end.
        data: what the policy was trained on.
        position: with the history of the run.
        folder: where its best policy lies.
    """
    history, seconds = position.history, position.epoch_seconds
    best, trainable = best_of(history), trainable_parameters(trainer.policy)
    return TrainingResult(
        experiment=settings.experiment,
        run=settings.run,
        seed=settings.seed,
        fold=settings.fold,
        dataset=data.dataset.name,
        backbone=data.backbone.name,
        epochs=len(history),
        steps=history[-1].step,
        best_epoch=best.epoch,
        best_val_loss=best.val_loss,
        initial_val_loss=history[0].val_loss,
        final_val_loss=history[-1].val_loss,
        stopped_early=len(history) < trainer.epochs,
        avg_epoch_time=sum(seconds) / len(seconds),
        epoch_times=seconds,
        total_time=sum(seconds),
        parameters=ParameterCounts(
            backbone_total=backbone_parameters(data.backbone.config()),
            trainable=trainable,
            trainable_total=sum(trainable.values()),
        ),
        padding=_padding(trainer, best),
        policy_bytes=sum(file.stat().st_size for file in folder.iterdir()),
        device=trainer.accelerator.device.type,
        precision=trainer.precision,
        threads=settings.training.threads,
        cut=settings.policy.cut,
        windows={role: len(samples) for role, samples in data.samples.items()},
        episodes={role: len(members) for role, members in data.roles.of.items()},
        frames={
            role: int(data.dataset.lengths[list(members)].sum())
            for role, members in data.roles.of.items()
        },
    )


def _padding(trainer: Trainer, best: Epoch) -> PaddingResult | None:
    """Return how padding dilutes the loss that was minimised; None without padding."""
    objective = trainer.objective
    if objective.padding is None:
        return None
    assert best.val_loss_arm_act is not None  # it is measured wherever there is padding
    return PaddingResult(
        action_dim=objective.padding.action_dim,
        velocities=objective.learned,
        averaged_over=objective.arm,
        best_val_loss_arm_act=best.val_loss_arm_act,
    )

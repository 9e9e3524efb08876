"""Describe a finished run: where its policy comes from, and ``training_results.json``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobile_vla.config.simulator import SIDES
from mobile_vla.config.training import TrainSettings
from mobile_vla.conventions import FRAME_SIZE, columns_of
from mobile_vla.data.mirror import SIGNS
from mobile_vla.model.adapter import backbone_parameters, trainable_parameters
from mobile_vla.model.policy import Policy
from mobile_vla.model.result import FrameFormat, PolicyMetrics, PolicyOrigin, StoredGuard
from mobile_vla.runs.data import RunData
from mobile_vla.training.loop import Position, best_of, skipped_steps
from mobile_vla.training.result import (
    DrivenValidation,
    Epoch,
    MixtureShare,
    PaddingResult,
    ParameterCounts,
    TrainingResult,
)
from mobile_vla.training.trainer import Trainer


def origin_of(settings: TrainSettings, data: RunData, epoch: Epoch, policy: Policy) -> PolicyOrigin:
    """Return where the policy of an epoch comes from, for ``policy.json``."""
    encoder = policy.encoder
    return PolicyOrigin(
        experiment=settings.experiment,
        run=settings.run,
        epoch=epoch.epoch,
        step=epoch.step,
        metrics=PolicyMetrics(
            train_loss=epoch.train_loss,
            val_loss=epoch.val_loss,
            val_mae=epoch.val_mae,
            clipped=epoch.clipped,
            val_success=epoch.val_success,
        ),
        images=FrameFormat(
            resize=settings.images.resize,
            color=settings.images.color,
            size=FRAME_SIZE,
            mean=encoder.mean.flatten().tolist(),
            std=encoder.std.flatten().tolist(),
        ),
        windows=settings.windows,
        data=data.trained_on,
        precision=data.precision,
        threads=settings.training.threads,
        guard=guard_of(settings, data),
    )


def guard_of(settings: TrainSettings, data: RunData) -> StoredGuard:
    """Return what the settings say of commands and, where they say nothing, the training episodes.

    A robot stands before an episode: the stop is in the range, and the first command is a change.
    """
    dimensions, dataset = settings.policy.actions.dimensions, data.dataset
    columns = columns_of(dimensions)
    changes, values = [], [np.zeros(len(columns), dtype=np.float32)]
    for index in data.roles.of["train"]:
        first = dataset.offsets[index]
        actions = dataset.actions[first : first + dataset.lengths[index], columns]  # (T, A)
        changes.append(np.abs(np.diff(actions, axis=0, prepend=0.0)).max(axis=0))
        values += [actions.min(axis=0), actions.max(axis=0)]
        if settings.policy.mirror:
            values += [one * SIGNS[columns] for one in values[-2:]]
    guard = settings.guard
    lowest, highest = np.min(values, axis=0) + 0.0, np.max(values, axis=0)  # no negative zeros
    shown = zip(lowest.tolist(), highest.tolist(), strict=True)
    ranges = {
        name: guard.range.get(name, found) for name, found in zip(dimensions, shown, strict=True)
    }
    return StoredGuard(
        beyond=guard.beyond,
        jump=guard.jump,
        lowest={name: low for name, (low, _) in ranges.items()},
        highest={name: high for name, (_, high) in ranges.items()},
        change={
            name: guard.change.get(name, seen)
            for name, seen in zip(dimensions, np.max(changes, axis=0).tolist(), strict=True)
        },
    )


def summary_of(
    settings: TrainSettings, trainer: Trainer, data: RunData, position: Position, folder: Path
) -> TrainingResult:
    """Return the content of ``training_results.json``; the best policy lies in ``folder``."""
    history, seconds = position.history, position.epoch_seconds
    best, trainable = best_of(history), trainable_parameters(trainer.policy)
    assert best is not None  # a run without an update has no results
    return TrainingResult(
        experiment=settings.experiment,
        run=settings.run,
        seed=settings.seed,
        fold=settings.fold,
        dataset=data.dataset.name,
        backbone=data.backbone.name,
        epochs=len(history),
        steps=history[-1].step,
        skipped_steps=skipped_steps(history) if trainer.scaler.is_enabled() else None,
        best_epoch=best.epoch,
        best_val_loss=best.val_loss,
        initial_val_loss=history[0].val_loss,
        final_val_loss=history[-1].val_loss,
        driven=_driven(settings, best),
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
        mixture=mixture_shares(data),
    )


def mixture_shares(data: RunData) -> list[MixtureShare]:
    """Return what each dataset of a mixture contributes to training; of no mixture nothing."""
    dataset, table = data.dataset, data.samples["train"].table
    episodes = dataset.part[list(data.roles.of["train"])]
    return [
        MixtureShare(
            dataset=part.name,
            weight=table.weights[place],
            episodes=int((episodes == place).sum()),
            windows=int((table.part == place).sum()),
            drawn=table.drawn(place),
        )
        for place, part in enumerate(dataset.parts)
        if dataset.is_mixture
    ]


def _driven(settings: TrainSettings, best: Epoch) -> DrivenValidation | None:
    """Return how often the best policy arrived in validation; None where it was not driven."""
    if settings.drives is None:
        return None
    assert best.val_success is not None  # each epoch is driven
    drives = len(SIDES) * settings.drives.scenes * len(settings.drives.worlds)
    return DrivenValidation(
        scenes=settings.drives.scenes, drives=drives, best_success=best.val_success
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

"""Describe a finished run: its model card, its origin, and ``training_results.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mobile_vla.backbone.kosmos2 import MODEL_TYPE
from mobile_vla.config.training import TrainSettings
from mobile_vla.conventions import FRAME_SIZE, columns_of
from mobile_vla.data.mirror import SIGNS
from mobile_vla.data.result import Role
from mobile_vla.model.adapter import backbone_parameters, trainable_parameters
from mobile_vla.model.policy import Policy
from mobile_vla.model.result import FrameFormat, PolicyMetrics, PolicyOrigin, StoredGuard
from mobile_vla.runs.data import RunData
from mobile_vla.training.loop import Position, best_of, skipped_steps
from mobile_vla.training.result import (
    Epoch,
    MixtureShare,
    PaddingResult,
    ParameterCounts,
    TrainingResult,
)
from mobile_vla.training.trainer import Trainer

ADAPTERS = """
PEFT loads the adapters, without the head, on a model of the backbone's folder or hub id:

    PeftModel.from_pretrained(Kosmos2Model.from_pretrained(BACKBONE), THIS_FOLDER)
"""
PROMPTS = 20  # that the card lists; policy.json has all

CARD = """\
---
library_name: {library}
pipeline_tag: robotics{base}
datasets: [{datasets}]
tags: [robotics, {model_type}, velocity-policy]
---
# {experiment}, {run}

A velocity policy for a mobile robot: {window} camera pictures and an instruction in, the next
{chunk} velocity commands out. {trained}

    python -m mobile_vla predict THIS_FOLDER EPISODE.h5
    python -m mobile_vla serve THIS_FOLDER

Both check this folder, the backbone and the libraries against what the policy was trained with, and
say what disagrees. `policy.json` holds all of it; only this file may be edited.
{adapters}
## In and out

- **Pictures**: {resize} to {size}×{size} pixels, RGB, by `predict` and `serve` themselves. The
  training episodes stored them as {color}. One picture a control step, at their rhythm.
- **Instruction**: one of these, word by word.
{prompts}
- **Velocities**: {dimensions}, in the raw command units of the training episodes, where
  {scale} became 1.0. What they are in metres a second is the robot's to know.{fixed} The
  chunk's first action belongs to {target}.

## Data

Dataset `{dataset}` (manifest {manifest}…, split {split}…, fold {fold}{subset}){mirrored}.

{counts}{mixture}

## Validation

{metrics}

This is epoch {epoch}, numbered from 0. The best epoch is chosen by these very numbers, so they are
too good. Its scores on episodes that chose nothing, beside baselines and with intervals, are in the
run's `evaluation.json` and in the report.

## Limits

- It has learnt from the episodes above, and nothing of other places, cameras, robots, speeds or
  instructions.
- {start}
- Validation errors are those of single predictions on recorded pictures. They do not say that the
  robot arrives.
- Nothing in it knows of obstacles, people or its own mistakes: speed limits, bumpers and an
  emergency stop are the robot's to have.
"""


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


def model_card(
    settings: TrainSettings, data: RunData, first: Epoch, epoch: Epoch, policy: Policy
) -> str:
    """Return the text of the ``README.md`` of an epoch's policy; ``first`` is to compare with."""
    windows, actions, trained_on = settings.windows, settings.policy.actions, data.trained_on
    crop = "the centre, resized" if settings.images.resize == "crop" else "resized as a whole"
    constants = ", ".join(f"{name} is always {value:g}" for name, value in data.fixed.items())
    prompts = [f"  - {json.dumps(text, ensure_ascii=False)}" for text in policy.texts[:PROMPTS]]
    if len(policy.texts) > PROMPTS:
        prompts.append(f"  - and {len(policy.texts) - PROMPTS} more in `policy.json`")
    return CARD.format(
        library="peft" if settings.policy.lora else "transformers",
        base="" if data.backbone.revision is None else f"\nbase_model: {data.backbone.source}",
        model_type=MODEL_TYPE,
        adapters=ADAPTERS if settings.policy.lora else "",
        experiment=settings.experiment,
        run=settings.run,
        window=windows.window,
        chunk=windows.chunk,
        trained=_trained(settings, data),
        resize=crop,
        size=FRAME_SIZE,
        color=_color(settings, data),
        prompts="\n".join(prompts),
        dimensions=", ".join(actions.dimensions),
        scale=actions.said,
        fixed=f" {constants[0].upper()}{constants[1:]}." if constants else "",
        target="the step after the newest picture"
        if windows.target == "next"
        else "the step of the newest picture",
        datasets=", ".join(trained_on.datasets),
        dataset=trained_on.dataset,
        manifest=trained_on.manifest[:12],
        split=trained_on.split[:12],
        fold=trained_on.fold,
        subset="" if trained_on.subset is None else f", {trained_on.subset} training episodes",
        mirrored=", and the training episodes' mirror images" if settings.policy.mirror else "",
        counts=_counts(data),
        mixture=_mixture(data),
        metrics=_metrics(first, epoch),
        epoch=epoch.epoch,
        start="The first pictures of a drive, before the window is full, are like in training."
        if windows.start == "repeat" or windows.window == 1
        else f"Of the first {windows.window - 1} control steps of a drive it has learnt nothing.",
    )


def _color(settings: TrainSettings, data: RunData) -> str:
    """Return in which order colours are stored; of a mixture in the files of its first dataset."""
    color = (settings.images.color or "rgb").upper()
    if not data.dataset.is_mixture:
        return color
    first = data.dataset.parts[0].name
    return f"{color} in the dataset\n  `{first}`, and `predict` reads episodes as that one's are"


def _trained(settings: TrainSettings, data: RunData) -> str:
    name, policy = data.backbone.name, settings.policy
    head = f"head (`{policy.head.type}`)"
    if policy.lora is not None:
        return (
            f"LoRA adapters (r = {policy.lora.r}, alpha = {policy.lora.alpha:g}) and a {head} on "
            f"the frozen\nbackbone `{name}`, which does not lie here."
        )
    if policy.full is not None:
        parts = [part for part, trained in policy.full.model_dump().items() if trained]
        return f"A {head} on the backbone `{name}`, of which were trained: {', '.join(parts)}."
    return f"A {head} on the frozen backbone `{name}`, which does not lie here."


def _counts(data: RunData) -> str:
    lines = ["| | episodes | frames | windows |", "| --- | --- | --- | --- |"]
    titles: dict[Role, str] = {"train": "training", "val": "validation", "test": "test"}
    for role, title in titles.items():
        members = list(data.roles.of[role])
        frames = int(data.dataset.lengths[members].sum())
        count = len(data.samples[role]) if role in data.samples else 0
        lines.append(f"| {title} | {len(members)} | {frames} | {count} |")
    return "\n".join(lines)


def _mixture(data: RunData) -> str:
    """Return how the training windows of an epoch come from the datasets of a mixture."""
    shares = mixture_shares(data)
    if not shares:
        return ""
    lines = [
        *("", "", "An epoch draws training windows of several datasets by their weights.", ""),
        "| dataset | weight | training episodes | windows drawn |",
        "| --- | --- | --- | --- |",
        *(f"| `{own.dataset}` | {own.weight:g} | {own.episodes} | {own.drawn} |" for own in shares),
    ]
    return "\n".join(lines)


def _metrics(first: Epoch, epoch: Epoch) -> str:
    rows = [("loss (Huber, normalised units)", first.val_loss, epoch.val_loss)]
    for name, value in epoch.val_mae.items():
        rows.append((f"mean absolute error of {name}", first.val_mae[name], value))
    lines = [f"| | epoch {first.epoch} | this policy |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {a:.4f} | {b:.4f} |" for name, a, b in rows)])


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

"""The form of ``metrics.csv``, of ``training_results.json``, and of an estimate of memory."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from mobile_vla.config.features import Cut
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_path
from mobile_vla.result import Result

ADDED = ("head", "action_token", "adapter")  # parts that the backbone does not have
MAE = "val_mae_"  # comes before a dimension's name in its column


class Epoch(Result):
    """A line of ``metrics.csv``: losses in normalised units, means over an epoch.

    The losses below ``skipped`` are there where something else than the Huber loss is minimised:
    of a head with its own loss that one, and with padding RoboVLMs', by its names.
    """

    epoch: int
    """Its number, from 0."""
    step: int
    """Optimiser steps that were done at its end, those that were skipped among them."""
    learning_rate: float
    """That of its last step."""
    train_loss: float
    """Huber loss of the training windows, with dropout, while the policy learnt."""
    val_loss: float
    """Huber loss of the validation windows, at its end."""
    gradient_norm: float
    """Norm of the last gradient before its end that a step was done with, before clipping."""
    val_mae: dict[str, float]
    """Mean absolute error of each dimension, in command units: a column each."""
    clipped: float
    """Share of the predictions that lie beyond the action scale."""
    val_success: float | None = None
    """Share of the validation's drives that succeed; only with ``select_by: rollout``."""
    skipped: int | None = None
    """Steps of it that the loss scaler skipped, so that they updated nothing; only with fp16."""
    train_objective: float | None = None
    """The head's own loss, which was minimised: docs/heads.md."""
    val_objective: float | None = None
    train_loss_arm_act: float | None = None
    """Huber loss over velocities and zeros together."""
    train_loss_gripper_act: float | None = None
    """Cross entropy of the gripper."""
    train_acc_gripper_act: float | None = None
    """Share of the actions in which the gripper stays open."""
    val_loss_arm_act: float | None = None
    val_loss_gripper_act: float | None = None
    val_acc_gripper_act: float | None = None

    def row(self) -> dict[str, float]:
        """Return the values by column."""
        columns: dict[str, float] = {}
        for name, value in self.model_dump(exclude_none=True).items():
            if name == "val_mae":
                columns |= {MAE + dimension: error for dimension, error in value.items()}
            else:
                columns[name] = value
        return columns


def write_metrics(path: Path, epochs: Sequence[Epoch]) -> None:
    """Write ``metrics.csv``; floats with all their digits."""
    rows = [epoch.row() for epoch in epochs]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_metrics(path: Path) -> tuple[Epoch, ...]:
    """Read ``metrics.csv``.

    Raises:
        UserError: the file is missing, holds no epoch, or has another form.
    """
    if not path.is_file():
        raise UserError(f"{path}: not there; `snakemake {path}` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, restkey="beyond the columns"))
    if not rows:
        raise UserError(f"{path}: no epoch in it; remove it and run snakemake again")
    return tuple(Epoch.checked(path, _nested(row)) for row in rows)


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the columns of the dimensions put together."""
    errors = {name.removeprefix(MAE): row[name] for name in row if name.startswith(MAE)}
    others = {name: value for name, value in row.items() if not name.startswith(MAE)}
    return {**others, "val_mae": errors}


class ParameterCounts(Result):
    """How many parameters a policy has."""

    backbone_total: int
    """Those of the whole backbone."""
    trainable: dict[str, int]
    """Those that are trained, by part: head, adapter, …."""
    trainable_total: int

    @property
    def share(self) -> float:
        """Share of the whole policy's parameters that are trained, as PEFT counts it."""
        added = sum(count for part, count in self.trainable.items() if part in ADDED)
        return self.trainable_total / (self.backbone_total + added)


class PaddingResult(Result):
    """How padding dilutes the loss that was minimised."""

    action_dim: int
    """Values that the head writes for each action."""
    velocities: int
    """Of these the velocities that are learnt."""
    averaged_over: int
    """Values that ``loss_arm_act`` is a mean over."""
    best_val_loss_arm_act: float
    """That loss of the best epoch."""


class MixtureShare(Result):
    """What a dataset of a mixture contributes to training."""

    dataset: str
    weight: float
    """How often an epoch draws each of its windows."""
    episodes: int
    """Training episodes of it."""
    windows: int
    """Training windows of it, with mirror images."""
    drawn: int
    """Windows of it that an epoch draws."""


class DrivenValidation(Result):
    """The drives that chose the policy: they flatter it, and ``rollouts.json`` does not."""

    scenes: int
    """Scenes of each world; no dataset and no rollout has them."""
    drives: int
    """Drives of an epoch's policy, in each scene past both sides."""
    best_success: float
    """Share of them that succeed with the policy in ``policy/``."""


class TrainingResult(Result):
    """``training_results.json``: a summary of a run; times in seconds, losses as in metrics.csv."""

    experiment: str
    run: str
    seed: int
    fold: int
    dataset: str
    backbone: str
    epochs: int
    steps: int
    skipped_steps: int | None = None
    """Of these, steps that the loss scaler skipped, so that they updated nothing; only with
    fp16."""
    best_epoch: int
    """The epoch of the policy in ``policy/``."""
    best_val_loss: float
    initial_val_loss: float
    """That of the first epoch."""
    final_val_loss: float
    """That of the last epoch."""
    driven: DrivenValidation | None = Field(default=None, exclude_if=lambda driven: driven is None)
    """Only with ``select_by: rollout``, where it decides before ``best_val_loss``."""
    stopped_early: bool
    avg_epoch_time: float
    """Mean of ``epoch_times``."""
    epoch_times: list[float]
    """Wall-clock time of each epoch, validation included."""
    total_time: float
    """Sum of ``epoch_times``."""
    parameters: ParameterCounts
    padding: PaddingResult | None
    """None where the head writes velocities alone."""
    policy_bytes: int
    """Of the best policy's folder."""
    device: str
    precision: str
    """Resolved number format of the forward pass."""
    threads: int
    cut: Cut
    """Where the frozen prefix ends."""
    windows: dict[str, int]
    """By role, as episodes and frames; those of ``train`` with mirror images."""
    episodes: dict[str, int]
    frames: dict[str, int]
    mixture: list[MixtureShare] = Field(default=[], exclude_if=lambda shares: not shares)
    """By dataset of a mixture; not there for another dataset."""


class MemoryEstimate(Result):
    """Bytes at the peak of a training step, as estimated before anything is loaded."""

    process: int
    """Python and its libraries; 0 on a GPU."""
    weights: int
    moments: int
    """The optimiser's two moments of each trained parameter."""
    step: int
    """Activations, temporaries and gradients, where their sum is largest."""
    allocator: int
    """What the allocator keeps besides."""
    total: int
    """Sum of the above."""

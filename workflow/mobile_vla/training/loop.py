"""The training loop: one optimiser step after another, with a validation at each epoch's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from mobile_vla.config.training import EarlyStopping
from mobile_vla.runs.samples import Samples
from mobile_vla.training.result import Epoch
from mobile_vla.training.trainer import Step, Trainer


@dataclass
class Position:
    """The progress of a run: with the trainer's tensors, all that the rest of it depends on."""

    step: int = 0  # optimiser steps that are done
    loss: float = 0.0  # sum of the losses of the epoch so far
    count: int = 0  # number of values in that sum
    others: list[float] = field(default_factory=list)  # its other sums
    gradient_norm: float = 0.0  # norm of the last step's gradient
    skipped: int = 0  # steps of the epoch so far that the loss scaler skipped
    skipped_in_a_row: int = 0  # that were skipped last
    seconds: float = 0.0  # time that the epoch has taken so far
    history: list[Epoch] = field(default_factory=list)  # the epochs that are done
    epoch_seconds: list[float] = field(default_factory=list)  # of each, validation included

    def add_step(self, step: Step, seconds: float) -> None:
        """Count a step that is done."""
        self.loss += step.loss
        self.count += step.values
        self.others = [
            total + value for total, value in zip_longest(self.others, step.others, fillvalue=0.0)
        ]
        if step.skipped:
            self.skipped += 1
            self.skipped_in_a_row += 1
        else:
            self.gradient_norm = step.norm
            self.skipped_in_a_row = 0
        self.step += 1
        self.seconds += seconds

    def add_epoch(self, epoch: Epoch, seconds: float) -> None:
        """Append an epoch that is done, and begin the next one."""
        self.history.append(epoch)
        self.epoch_seconds.append(self.seconds + seconds)
        self.loss, self.count, self.others, self.seconds, self.skipped = 0.0, 0, [], 0.0, 0


def run_epochs(
    trainer: Trainer,
    validation: Samples,
    position: Position,
    on_step: Callable[[int, float], None],
    on_epoch: Callable[[Epoch], bool],
    drive: Callable[[], float] | None = None,
) -> None:
    """Train from a position to the end, or until ``on_epoch`` says to stop.

    Args:
        position: where to begin; it is kept up to date, before each call of the functions.
        on_step: called with the number of windows of a step and its mean loss; it may raise.
        on_epoch: called with each epoch; returns True to stop.
        drive: drives the policy at an epoch's end, and returns the share of successes.

    Raises:
        UserError: a step is not possible, or the loss scaler skips one after the other.
    """
    for number in range(len(position.history), trainer.epochs):
        first = number * trainer.steps_per_epoch
        # A run may continue within an epoch, and its last step may come before the epoch's last.
        steps = trainer.epoch_steps(number)[position.step - first : trainer.total_steps - first]
        for batches in steps:
            started = time.perf_counter()
            step = trainer.step(position.step, batches)
            position.add_step(step, time.perf_counter() - started)
            if step.skipped:
                trainer.check_skipped(position.step - 1, position.skipped_in_a_row, batches)
            on_step(sum(map(len, batches)), step.loss / step.values)

        started = time.perf_counter()
        validated = trainer.validate(validation)
        actions = position.count // trainer.objective.learned
        means = trainer.objective.reported([position.loss, *position.others], actions)
        epoch = Epoch(
            epoch=number,
            step=position.step,
            learning_rate=trainer.learning_rate(position.step - 1),
            train_loss=means.pop("loss"),
            val_loss=validated.loss,
            gradient_norm=position.gradient_norm,
            val_mae=validated.mae,
            clipped=validated.clipped,
            val_success=None if drive is None else drive(),
            skipped=position.skipped if trainer.scaler.is_enabled() else None,
            **{f"train_{name}": value for name, value in means.items()},
            **{f"val_{name}": value for name, value in validated.others.items()},
        )
        position.add_epoch(epoch, time.perf_counter() - started)
        if on_epoch(epoch):
            return


def skipped_steps(history: Sequence[Epoch]) -> int:
    """Return the number of steps that the loss scaler skipped."""
    return sum(epoch.skipped or 0 for epoch in history)


def updated(history: Sequence[Epoch]) -> list[Epoch]:
    """Return the epochs from the first one on at whose end a step had updated the policy."""
    return [
        epoch
        for number, epoch in enumerate(history, start=1)
        if epoch.step > skipped_steps(history[:number])
    ]


def best_of(history: Sequence[Epoch]) -> Epoch | None:
    """Return the epoch with the lowest validation loss, the earliest of equals.

    Where the policy was driven, it is that of the epochs with the most successes. None where the
    policy is still the untrained one.
    """
    return min(updated(history), key=_rank, default=None)


def _rank(epoch: Epoch) -> tuple[float, float]:
    """Return what is lower for a better epoch; without drives the loss alone tells."""
    return -(epoch.val_success or 0.0), epoch.val_loss


def exhausted(history: Sequence[Epoch], stopping: EarlyStopping) -> bool:
    """Return whether the last ``patience`` epochs brought no improvement over those before."""
    epochs = updated(history)
    if len(epochs) <= stopping.patience:
        return False
    before = min(epochs[: -stopping.patience], key=_rank)
    recent = min(epochs[-stopping.patience :], key=_rank)
    if recent.val_success != before.val_success:
        return _rank(recent) > _rank(before)
    return recent.val_loss >= before.val_loss - stopping.min_delta

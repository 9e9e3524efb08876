"""The training loop: optimiser steps, and a validation pass after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

from mobile_vla.runs.samples import Samples
from mobile_vla.training.history import Epoch
from mobile_vla.training.trainer import Trainer


@dataclass
class Position:
    """The progress of a run: with the trainer's tensors, all that the rest of it depends on."""

    step: int = 0
    """Optimiser steps that are done."""
    loss: float = 0.0
    """Sum of the losses of the epoch so far."""
    count: int = 0
    """Number of values in that sum."""
    padding: list[float] = field(default_factory=list)
    """The other sums of the epoch so far, with padding."""
    gradient_norm: float = 0.0
    """Norm of the last step's gradient."""
    seconds: float = 0.0
    """Time that the epoch has taken so far."""
    history: list[Epoch] = field(default_factory=list)
    """The epochs that are done."""


def run_epochs(
    trainer: Trainer,
    validation: Samples,
    position: Position,
    on_step: Callable[[int, float], None],
    on_epoch: Callable[[Epoch], bool],
) -> None:
    """Train from a position to the end, or until ``on_epoch`` says to stop.

    Args:
        trainer: the policy, its optimiser and its data.
        validation: the validation windows.
        position: where to begin; it is kept up to date, before each call of the functions.
        on_step: called with the number of windows of a step and its mean loss; it may raise.
        on_epoch: called with each epoch's history; returns True to stop.
    """
    for number in range(len(position.history), trainer.epochs):
        before = number * trainer.steps_per_epoch
        # the last epoch may end with the last step
        for batches in trainer.epoch(number)[position.step - before : trainer.total_steps - before]:
            started = time.perf_counter()
            done = trainer.step(position.step, batches)
            position.loss += done.loss
            position.count += done.values
            position.padding = [
                before + more
                for before, more in zip_longest(position.padding, done.padding, fillvalue=0.0)
            ]
            if math.isfinite(done.norm):  # else a step that the loss scaler skipped
                position.gradient_norm = done.norm
            position.step += 1
            position.seconds += time.perf_counter() - started
            on_step(sum(map(len, batches)), done.loss / done.values)
        started = time.perf_counter()
        scores = trainer.validate(validation)
        actions = position.count // trainer.objective.learned
        means = trainer.objective.reported([position.loss, *position.padding], actions)
        epoch = Epoch(
            epoch=number,
            step=position.step,
            learning_rate=trainer.learning_rate(position.step - 1),
            train_loss=means.pop("loss"),
            gradient_norm=position.gradient_norm,
            validation=scores,
            seconds=position.seconds + time.perf_counter() - started,
            train_padded=means,
        )
        position.history.append(epoch)
        position.loss, position.count, position.seconds = 0.0, 0, 0.0
        position.padding = []
        if on_epoch(epoch):
            return

"""The trainer: one optimiser step, and one pass over the validation windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from mobile_vla.config.features import Cut
from mobile_vla.config.training import Training, TrainSettings
from mobile_vla.errors import UserError
from mobile_vla.machine import default_device
from mobile_vla.model.heads.head import Supervised
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from mobile_vla.out_of_memory import lacks_memory
from mobile_vla.runs.data import RunData
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.predict import inference
from mobile_vla.runs.samples import Batch, Samples
from mobile_vla.training.batches import epoch_steps, steps_per_epoch
from mobile_vla.training.loss import Objective, summed_error

# Limits of the loss scale, which is halved with each skipped step. Below the first the gradients
# grow without bound (fairseq's --min-loss-scale); the second divides the scale by a million.
SMALLEST_SCALE = 1e-4
SKIPPED_IN_A_ROW = 20


class Step(NamedTuple):
    """The result of an optimiser step."""

    loss: float  # over the velocities, summed
    values: int  # number of values in that sum
    norm: float  # the gradient's norm before clipping
    others: tuple[float, ...]  # the other sums of `Objective.compute_loss`

    @property
    def skipped(self) -> bool:
        """Whether the loss scaler skipped the update; without one such a gradient is an error."""
        return not math.isfinite(self.norm)


@dataclass(frozen=True)
class Validation:
    """The result of a pass over the validation windows."""

    loss: float  # mean Huber loss in normalised units
    mae: dict[str, float]  # mean absolute error of each dimension, in command units
    clipped: float  # share of the predictions beyond the action scale
    others: dict[str, float]  # the other means of `Objective.reported`


def flattened(prefix: str, parts: Mapping[Any, Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Return the tensors of all parts as ``{prefix}{part}.{name}``, for one file."""
    return {f"{prefix}{part}.{name}": t for part, each in parts.items() for name, t in each.items()}


def nested(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Return what :func:`flattened` got, of the tensors that have the prefix."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for full, tensor in tensors.items():
        if full.startswith(prefix):
            part, _, name = full.removeprefix(prefix).partition(".")
            parts.setdefault(part, {})[name] = tensor
    return parts


class SupervisedPolicy(nn.Module):
    """A policy whose forward pass gives what it is trained by: gradients go through this one."""

    def __init__(self, policy: Policy):
        super().__init__()
        self.policy = policy

    def forward(self, batch: Batch, cut: Cut | None) -> Supervised:
        """Return what a batch on the policy's device is trained by."""
        return self.policy.supervised(
            batch.features, batch.prompts, batch.windows, batch.targets, cut
        )


class Trainer:
    """A policy with its optimiser and data, able to do one step at a time.

    Randomness is a function of (seed, step): the order of an epoch's windows and each step's
    dropout need no history beyond the step. With several processes each has a trainer, computes its
    share of every batch, and ends each step with the same weights.

    Args:
        policy: it is moved to the device that Accelerate chooses.
        steps: optimiser steps of the whole run; None: those of ``training.epochs``.

    Raises:
        UserError: there are not as many processes as the settings say.
    """

    def __init__(
        self,
        policy: Policy,
        training: Training,
        samples: Samples,
        seed: int,
        precision: str,
        steps: int | None = None,
    ):
        if training.supervise == "every_frame":
            table = samples.table.supervised_at_every_frame(samples.dataset)
            samples = samples.with_table(table)
        self.training, self.samples, self.seed = training, samples, seed
        self.precision = precision
        self.cut: Cut | None = None  # of the batches' features; None: the policy's
        # Autocast is not left to Accelerate: it keeps one number format for the whole process, and
        # timing trains in several.
        self.accelerator = Accelerator(mixed_precision="no", cpu=default_device().type == "cpu")
        if self.accelerator.num_processes != training.processes:
            raise UserError(
                f"training.processes: {training.processes}, and this training is one of "
                f"{self.accelerator.num_processes}; `snakemake` starts as many as that says, and "
                f"by hand `python -m torch.distributed.run --nproc-per-node {training.processes} "
                "-m -- mobile_vla …` does"
            )
        self.parameters = [p for p in policy.parameters() if p.requires_grad]
        if training.gradient_checkpointing:
            policy.checkpoint_gradients()
        self.policy = policy
        predicted, learned = len(policy.settings.actions.dimensions), policy.learned_dimensions
        padding = policy.settings.padding
        own_loss = policy.head.has_own_loss
        self.objective = Objective(training.huber_delta, predicted, learned, padding, own_loss)
        self.model: nn.Module = self.accelerator.prepare_model(SupervisedPolicy(policy))
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,
        )
        # Scales the loss, so that small gradients survive in fp16; else it does nothing.
        device, half = self.accelerator.device.type, precision == "fp16"
        self.scaler = torch.amp.GradScaler(device, enabled=half)
        size, accumulation = training.batch_size, training.accumulation
        self.steps_per_epoch = steps_per_epoch(samples.table.drawn_windows, size, accumulation)
        self.total_steps = self.steps_per_epoch * training.epochs if steps is None else steps
        self.epochs = math.ceil(self.total_steps / self.steps_per_epoch)

    def epoch_steps(self, epoch: int) -> list[list[np.ndarray]]:
        """Return an epoch's optimiser steps, each a list of batches of window indices."""
        return epoch_steps(self.samples.table, self.training, self.seed, epoch)

    def step(self, number: int, batches: list[np.ndarray]) -> Step:
        """Do one optimiser step, number ``number`` of the run, on its batches of window indices.

        The loss is divided by the number of actions that count in all of the step's batches, so
        that accumulation, ragged batches and the number of processes change nothing.

        Raises:
            UserError: the loss or the gradient is not finite; nothing was updated.
        """
        rank = [self.rank] if self.rank else []  # dropout is another one in each process
        seed = np.random.SeedSequence([self.seed, number, *rank]).generate_state(1)[0]
        torch.manual_seed(int(seed))
        self.policy.train()
        key = self.seed, number
        loaded = [self.samples.batch(self.share(indices), key) for indices in batches]
        # What the loss of the whole step is a mean over.
        actions = sum(int(self.samples.table.mask[indices].sum()) for indices in batches)
        totals: list[list[float]] = []
        for place, (indices, batch) in enumerate(zip(batches, loaded, strict=True)):
            empty, last = len(indices) <= self.rank, place == len(batches) - 1
            try:
                totals.append(self._backward(batch, actions, empty, last))
            except (MemoryError, RuntimeError) as error:
                if not lacks_memory(error):
                    raise
                raise UserError(self._too_large(batch)) from None
        totals = self.sum_over_processes(totals)
        for indices, parts in zip(batches, totals, strict=True):
            if not math.isfinite(sum(parts)):
                raise UserError(self._not_finite(number, indices, "loss"))
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if self.training.clip is None else self.training.clip
        norm = float(self.accelerator.clip_grad_norm_(self.parameters, limit))
        if not math.isfinite(norm) and not self.scaler.is_enabled():
            # With a scaler this is the loss scale being too large: the step is skipped.
            raise UserError(self._not_finite(number, np.concatenate(batches), "gradient"))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(number)
        if math.isfinite(norm):
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        loss, *others = (sum(column) for column in zip(*totals, strict=True))
        return Step(loss, actions * self.objective.learned, norm, tuple(others))

    def check_skipped(self, number: int, in_a_row: int, batches: list[np.ndarray]) -> None:
        """Refuse to go on after a skipped step, number ``number``, if skipping has no end.

        Raises:
            UserError: many steps in a row were skipped, or the loss scale has collapsed.
        """
        scale = self.scaler.get_scale()
        if in_a_row < SKIPPED_IN_A_ROW and not scale < SMALLEST_SCALE:
            return
        names = ", ".join(self.samples.episodes_of(np.concatenate(batches)))
        raise UserError(
            f"training step {number + 1} of {self.total_steps}: the loss scaler skipped this step "
            f"and the {in_a_row - 1} before it, because the gradient is infinite or NaN in "
            f"{self.precision} however small the loss is scaled (now by {scale:g}); its windows "
            f"came from {names}. Use precision bf16 or fp32, lower training.learning_rate, or look "
            "at these episodes in the audit"
        )

    def _backward(self, batch: Batch, actions: int, empty: bool, last: bool) -> list[float]:
        """Run a batch forward and backward, and return the sums of its losses.

        Where this process's share is ``empty``, the batch is a stand-in that counts nothing. The
        backward pass of the step's ``last`` batch exchanges gradients.
        """
        batch = batch.to(self.accelerator.device)
        if empty:
            batch = replace(batch, mask=torch.zeros_like(batch.mask))
        with nullcontext() if last else self.accelerator.no_sync(self.model):
            with autocast(self.precision, self.accelerator.device):
                found: Supervised = self.model(batch, self.cut)
            # The gradient becomes the mean over the processes, and is to be the sum.
            loss, sums = self._loss(found, batch, actions / self.training.processes)
            self.accelerator.backward(self.scaler.scale(loss))
        return sums.tolist()

    def _loss(
        self, found: Supervised, batch: Batch, actions: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch's part of a loss over so many actions, and what was summed for it."""
        targets, mask = batch.targets, batch.mask
        if targets.ndim == 4:  # of every frame, whose predictions stand one after the other
            targets, mask = targets.flatten(0, 1), mask.flatten(0, 1)
        return self.objective.compute_loss(found.outputs, targets, mask, actions, found.loss)

    @property
    def rank(self) -> int:
        """Number of this process among those of the run, from 0."""
        return self.accelerator.process_index

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Return this process's windows of a batch; without any, a window that counts nothing.

        Neighbours stay together, because they share frames.
        """
        share = np.array_split(indices, self.training.processes)[self.rank]
        return share if len(share) else indices[:1]

    def sum_over_processes(self, values: list[Any]) -> list[Any]:
        """Return the sums over all processes of numbers, or of lists of numbers."""
        if self.training.processes == 1:
            return values
        local = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        return self.accelerator.reduce(local, "sum").tolist()

    def max_over_processes(self, number: int) -> int:
        """Return the largest of the processes' numbers."""
        if self.training.processes == 1:
            return number
        local = torch.tensor([number], device=self.accelerator.device)
        return int(self.accelerator.gather(local).max())

    def learning_rate(self, number: int) -> float:
        """Return the learning rate of a step.

        A linear warm-up, then half a cosine down to 0 (Loshchilov & Hutter 2017,
        arXiv:1608.03983, without restarts), or a constant.
        """
        peak = self.training.learning_rate
        warmup = math.ceil(self.training.warmup * self.total_steps)
        if number < warmup:
            return peak * (number + 1) / warmup
        if self.training.schedule == "constant":
            return peak
        passed = (number - warmup) / max(self.total_steps - warmup, 1)
        return peak * 0.5 * (1 + math.cos(math.pi * passed))

    def validate(self, samples: Samples) -> Validation:
        """Score the policy on other windows: the same forward pass, without dropout.

        Raises:
            UserError: a prediction is not finite.
        """
        self.policy.eval()
        settings = self.policy.settings.actions
        totals = [0.0] * self.objective.parts
        beyond, count = 0, 0
        error = torch.zeros(len(settings.dimensions), dtype=torch.float64)

        share = samples.in_order(self.training.batch_size, self.rank, self.training.processes)
        for _, loaded in share:
            batch = loaded.to(self.policy.device)
            with inference(self.precision, self.policy.device):
                found = self.policy.supervised(
                    batch.features, batch.prompts, batch.windows, batch.targets
                )
            targets, mask = batch.targets, batch.mask
            _, sums = self._loss(found, batch, batch.supervised)
            totals = [total + value for total, value in zip(totals, sums.tolist(), strict=True)]
            predicted = found.outputs[..., : self.objective.dimensions].float()
            error += summed_error(predicted, targets, mask).cpu()
            outside = (predicted.abs() > 1) & mask[..., None] & self.policy.fixed.isnan()
            beyond += int(outside.sum())
            count += batch.supervised
        totals, error_sums, (beyond, count) = (
            self.sum_over_processes(values) for values in (totals, error.tolist(), [beyond, count])
        )
        means = self.objective.reported(totals, count)
        loss = means.pop("loss")
        if not math.isfinite(sum(means.values(), loss)):
            raise UserError(
                "the validation loss is not finite (NaN or infinite), so no epoch could be called "
                "the best; lower training.learning_rate, use precision fp32 or bf16, or look at "
                "the validation episodes in the audit"
            )
        errors = torch.tensor(error_sums, dtype=torch.float64)
        mae = self.policy.denormalise(errors / count).tolist()
        return Validation(
            loss=loss,
            mae=dict(zip(settings.dimensions, mae, strict=True)),
            clipped=beyond / (count * self.objective.learned),
            others=means,
        )

    def _not_finite(self, number: int, indices: np.ndarray, what: str) -> str:
        names = ", ".join(self.samples.episodes_of(indices))
        return (
            f"training step {number + 1} of {self.total_steps}: the {what} is not finite (NaN or "
            f"infinite); the batch came from {names}. Nothing was updated. Lower "
            "training.learning_rate, use precision fp32 or bf16, or look at these episodes in "
            "the audit"
        )

    def _too_large(self, batch: Batch) -> str:
        return (
            f"out of memory with training.batch_size {self.training.batch_size}, which is "
            f"{len(batch.features)} distinct frames at a time: lower training.batch_size and raise "
            "training.accumulation by the same factor (the result stays the same but for the last "
            "bits and the draws of dropout), or choose a smaller window"
        )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return what the next step depends on besides its number.

        These are the trained parameters and the optimiser's moments by name, and the loss scaler's
        state, which is empty unless the precision is fp16.
        """
        trained = flattened("policy.", self.policy.trained())
        moments = flattened("optimizer.", self.optimizer.state_dict()["state"])
        return {**trained, **moments}, self.scaler.state_dict()

    def load_state(self, tensors: Mapping[str, torch.Tensor], scaler: dict[str, Any]) -> None:
        """Continue from what :meth:`state` returned."""
        self.policy.load_trained(nested("policy.", tensors))
        moments = {int(index): state for index, state in nested("optimizer.", tensors).items()}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if scaler:
            self.scaler.load_state_dict(scaler)


def build_trainer(
    settings: TrainSettings,
    data: RunData,
    steps: int | None = None,
    init_from: Path | None = None,
    cut: Cut | None = None,
) -> Trainer:
    """Return a trainer of a run's policy, whose forward pass begins at a cut.

    A policy that drives needs the whole model, also where its training reads stored features.
    """
    cut = "pixels" if settings.drives is not None else cut
    policy = build_policy(settings.policy, settings.seed, data, init_from, cut)
    samples, training = data.samples["train"], settings.training
    return Trainer(policy, training, samples, settings.seed, data.precision, steps)

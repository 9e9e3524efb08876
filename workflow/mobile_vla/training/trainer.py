"""A policy with its optimiser and data: one step, and one pass over the validation windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from mobile_vla.config.features import Cut
from mobile_vla.config.training import Training
from mobile_vla.data.windows import WindowTable
from mobile_vla.errors import UserError
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from mobile_vla.runs.predict import predict_batches
from mobile_vla.runs.samples import Batch, Samples
from mobile_vla.training.batches import dealt, epoch_batches, steps_per_epoch
from mobile_vla.training.history import Validation
from mobile_vla.training.loss import Objective, absolute_error


class Source(Protocol):
    """Where a trainer's batches come from."""

    @property
    def table(self) -> WindowTable:
        """The windows."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather windows by index (B,); random changes are a function of ``key``."""

    def episodes_of(self, indices: np.ndarray) -> list[str]:
        """Return the names of the episodes that some windows come from."""


class Step(NamedTuple):
    """What an optimiser step did."""

    loss: float
    """Loss over the velocities, summed."""
    values: int
    """Number of values that it was summed over."""
    norm: float
    """The gradient's norm before clipping."""
    padding: tuple[float, ...] = ()
    """The rest of :meth:`Objective.sums`, with padding."""


class Trainer:
    """A policy with its optimiser and data, able to do one step at a time.

    Randomness is a function of (seed, step): the order of an epoch's windows and each step's
    dropout need no history beyond the step.

    With several processes each has a trainer, computes its share of every batch, and ends each
    step with the same weights.

    Args:
        policy: the policy; it is moved to the device that Accelerate chooses.
        training: the settings.
        samples: the training windows.
        seed: the run's seed.
        precision: resolved number format, ``fp32``, ``bf16`` or ``fp16``.
        steps: optimiser steps in all; None: those of ``training.epochs``.

    Attributes:
        cut: where the batches' features were taken; None where the policy's frozen prefix ends.

    Raises:
        UserError: there are not as many processes as the settings say.
    """

    def __init__(
        self,
        policy: Policy,
        training: Training,
        samples: Source,
        seed: int,
        precision: str,
        steps: int | None = None,
    ):
        self.training, self.samples, self.seed = training, samples, seed
        self.precision = precision
        self.cut: Cut | None = None
        # The number format is ours: Accelerate keeps its own for the whole process, and timing
        # trains in several.
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
        settings = policy.settings
        self.objective = Objective(
            training.huber_delta,
            len(settings.actions.dimensions),
            policy.learned_dimensions,
            settings.padding,
        )
        self.model: nn.Module = self.accelerator.prepare_model(policy)
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,
        )
        # Scales the loss, so that small gradients survive in fp16; else it does nothing.
        self.scaler = torch.amp.GradScaler(
            self.accelerator.device.type, enabled=precision == "fp16"
        )
        self.steps_per_epoch = steps_per_epoch(
            len(samples), training.batch_size, training.accumulation
        )
        self.total_steps = self.steps_per_epoch * training.epochs if steps is None else steps
        self.epochs = math.ceil(self.total_steps / self.steps_per_epoch)

    def epoch(self, epoch: int) -> list[list[np.ndarray]]:
        """Return an epoch's optimiser steps, each a list of batches of window indices."""
        batches = epoch_batches(
            self.samples.table, self.training.batch_size, self.training.segment, self.seed, epoch
        )
        return [
            batches[start : start + self.training.accumulation]
            for start in range(0, len(batches), self.training.accumulation)
        ]

    def step(self, number: int, batches: list[np.ndarray]) -> Step:
        """Do one optimiser step.

        The loss is divided by the number of actions that count in all of the step's batches, so
        that accumulation, ragged batches and the number of processes change nothing.

        Args:
            number: which step of the run this is, from 0.
            batches: window indices of each batch.

        Raises:
            UserError: the loss or the gradient is not finite; nothing was updated.
        """
        own = [self.rank] if self.rank else []  # each process drops others
        seed = np.random.SeedSequence([self.seed, number, *own]).generate_state(1)[0]
        torch.manual_seed(int(seed))
        self.policy.train()
        loaded = [
            self.samples.batch(self.share(indices), (self.seed, number)) for indices in batches
        ]
        actions = sum(int(self.samples.table.mask[indices].sum()) for indices in batches)
        totals: list[list[float]] = []
        for place, (indices, batch) in enumerate(zip(batches, loaded, strict=True)):
            try:
                with self._together(last=place == len(batches) - 1):
                    sums = self._sums(batch.to(self.accelerator.device))
                    if len(indices) <= self.rank:
                        sums = sums * 0  # a stand-in for a share without windows
                    # the gradient becomes the mean over the processes, and is to be the sum
                    loss = self.objective.minimised(sums, actions / self.training.processes)
                    self.accelerator.backward(self.scaler.scale(loss))
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                raise UserError(self._too_large(batch)) from None
            totals.append(sums.tolist())
        totals = self.summed(totals)
        for indices, parts in zip(batches, totals, strict=True):
            if not math.isfinite(sum(parts)):
                raise UserError(self._not_finite(number, indices, "loss"))
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if self.training.clip is None else self.training.clip
        norm = float(self.accelerator.clip_grad_norm_(self.parameters, limit))
        if not math.isfinite(norm) and not self.scaler.is_enabled():
            # With a scaler this is the loss scale being too large: it skips the step.
            raise UserError(self._not_finite(number, np.concatenate(batches), "gradient"))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(number)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        added = [sum(column) for column in zip(*totals, strict=True)]
        return Step(added[0], actions * self.objective.learned, norm, tuple(added[1:]))

    @property
    def rank(self) -> int:
        """Which of the run's processes this is."""
        return self.accelerator.process_index

    @property
    def writes(self) -> bool:
        """Whether this is the one of the run's processes that writes."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Return this process's windows of a batch, or one that counts nothing in their place."""
        own = dealt(indices, self.training.processes)[self.rank]
        return own if len(own) else indices[:1]

    def summed(self, values: list[Any]) -> list[Any]:
        """Return the sums over all processes of numbers, or of lists of numbers."""
        if self.training.processes == 1:
            return values
        mine = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        return self.accelerator.reduce(mine, "sum").tolist()

    def agreed(self, number: int) -> int:
        """Return the largest of the numbers that the processes call this with."""
        if self.training.processes == 1:
            return number
        mine = torch.tensor([number], device=self.accelerator.device)
        return int(self.accelerator.gather(mine).max())

    def _together(self, last: bool) -> AbstractContextManager[Any]:
        """Exchange gradients once a step: in the backward pass of its last batch."""
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def _sums(self, batch: Batch) -> torch.Tensor:
        """Return what the predictions of a batch got wrong, summed."""
        with autocast(self.precision, self.accelerator.device):
            outputs = self.model(
                batch.features, batch.prompts, batch.windows, self.cut, padded=True
            )
        return self.objective.sums(outputs, batch.targets, batch.mask)

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

        def forward(_: np.ndarray, batch: Batch) -> torch.Tensor:
            outputs: torch.Tensor = self.policy(
                batch.features, batch.prompts, batch.windows, padded=True
            )
            return outputs

        share = samples.in_order(self.training.batch_size, self.rank, self.training.processes)
        for _, batch, outputs in predict_batches(self.policy, share, self.precision, forward):
            sums = self.objective.sums(outputs, batch.targets, batch.mask).tolist()
            totals = [total + value for total, value in zip(totals, sums, strict=True)]
            predicted = outputs[..., : self.objective.dimensions]
            error += absolute_error(predicted, batch.targets, batch.mask).cpu()
            beyond += int(((predicted.abs() > 1) & batch.mask[..., None]).sum())
            count += batch.supervised
        sums, error_sums, (beyond, count) = (
            self.summed(values) for values in (totals, error.tolist(), [beyond, count])
        )
        means = self.objective.reported(sums, count)
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
            padded=means,
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
            "bits), or choose a smaller window"
        )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return all that the next step depends on besides its number.

        Returns:
            The trained parameters and the optimiser's moments by name, and the loss scaler's
            state, which is empty unless the precision is fp16.
        """
        tensors = {
            f"policy.{part}.{name}": tensor
            for part, values in self.policy.trained().items()
            for name, tensor in values.items()
        }
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
        return tensors, self.scaler.state_dict()

    def load_state(self, tensors: Mapping[str, torch.Tensor], scaler: dict[str, Any]) -> None:
        """Continue from what :meth:`state` returned."""
        parts: dict[str, dict[str, torch.Tensor]] = {}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for full, tensor in tensors.items():
            kind, first, name = full.split(".", 2)
            if kind == "policy":
                parts.setdefault(first, {})[name] = tensor
            else:
                moments.setdefault(int(first), {})[name] = tensor
        self.policy.load_trained(parts)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if scaler:
            self.scaler.load_state_dict(scaler)


def _out_of_memory(error: Exception) -> bool:
    """Whether an exception means that memory ran out, on a GPU or on a CPU."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)

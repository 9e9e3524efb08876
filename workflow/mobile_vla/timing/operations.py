"""A run's operations, counted and by the formula, and the rate that it achieves."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mobile_vla.backbone.kosmos2 import sizes_of
from mobile_vla.config.training import TrainSettings
from mobile_vla.model.policy import skeleton
from mobile_vla.model.precision import autocast
from mobile_vla.runs.data import RunData
from mobile_vla.timing.flops import counted, formula
from mobile_vla.timing.matrix_rate import matrix_rate
from mobile_vla.timing.result import OperationCount, OperationCounts
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import longest_prompt


@dataclass(frozen=True)
class MeasuredStep:
    """What one process did in a timed step."""

    frames: int
    """Distinct frames of its batches."""
    windows: int
    """Its share of the windows."""
    seconds: float


@dataclass(frozen=True)
class Rates:
    """Operations of a step, and operations a second beside what the device can do."""

    flops: OperationCounts
    matrix_rate: float
    achieved_rate: float


class Operations:
    """The operations of a run's steps by the formula.

    Args:
        run: the run.
        data: what it is trained on.
    """

    def __init__(self, run: TrainSettings, data: RunData):
        self.config = data.backbone.config()
        self.tokens = longest_prompt(data)
        self.formula = formula(
            skeleton(self.config, run.policy),
            self.config,
            run.policy,
            cut=run.policy.cut,
            tokens=self.tokens,
            checkpointing=run.training.gradient_checkpointing,
        )

    def rates(self, trainer: Trainer, measured: Sequence[MeasuredStep]) -> Rates:
        """Count one more step, and compare the measured ones with the device's matrix rate.

        Args:
            trainer: does a step for each count; that may be slow, and is not timed.
            measured: the steps that were timed.
        """
        device = trainer.accelerator.device
        step = trainer.epoch_steps(0)[0]
        shares = [trainer.share(indices) for indices in step]
        batches = [trainer.samples.batch(share, (trainer.seed, 0)) for share in shares]
        predicted = self.formula.step(
            sum(len(batch.features) for batch in batches), sum(map(len, shares))
        )
        of_step = counted(lambda: trainer.step(0, step))
        sizes, tokens = sizes_of(self.config), max(one.frames for one in measured) * self.tokens
        products = (
            (tokens, sizes.width, sizes.feed_forward),
            (tokens, sizes.feed_forward, sizes.width),
        )
        limit = matrix_rate(trainer.precision, device, products)
        # The measured steps differ in their frames; the formula, corrected by the count, follows.
        correction = of_step / predicted
        achieved = statistics.median(
            correction * self.formula.step(one.frames, one.windows) / one.seconds
            for one in measured
        )
        of_frame = _of_frame(trainer, batches[0].features[:1].to(device))
        return Rates(
            flops=OperationCounts(
                frame=OperationCount(counted=of_frame, formula=self.formula.frame),
                step=OperationCount(counted=of_step, formula=predicted),
            ),
            matrix_rate=limit,
            achieved_rate=achieved,
        )


def _of_frame(trainer: Trainer, features: torch.Tensor) -> int:
    """Count the operations of one frame, forward and backward, up to its readout."""
    policy, device = trainer.policy, trainer.accelerator.device
    policy.train()
    prompt = torch.zeros(1, dtype=torch.long, device=device)

    def run() -> None:
        with autocast(trainer.precision, device):
            readout = policy.encoder.readouts(features, prompt, policy.settings.cut)
        if readout.requires_grad:
            readout.float().sum().backward()

    operations = counted(run)
    policy.zero_grad()
    return operations

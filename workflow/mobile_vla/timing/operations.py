"""A run's operations, counted and by the formula, and the rate that it achieves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mobile_vla.backbone.kosmos2 import sizes_of
from mobile_vla.config.training import TrainSettings
from mobile_vla.model.policy import skeleton
from mobile_vla.model.precision import DTYPES, autocast
from mobile_vla.runs.data import RunData
from mobile_vla.runs.samples import Batch
from mobile_vla.timing.flops import counted, formula
from mobile_vla.timing.result import OperationCount, OperationCounts
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import longest_prompt

SQUARES = {"cpu": (1024,), "cuda": (4096, 8192)}
SECONDS = 0.2  # of measuring each matrix product; its best repetition counts
REPETITIONS = 3  # at least


@dataclass(frozen=True)
class MeasuredStep:
    """A timed optimiser step, as this process did it."""

    frames: int  # distinct frames of its batches
    share: int  # its windows
    windows: int  # of all processes
    seconds: float
    waited: float  # seconds of these that went into making the batches


class Operations:
    """The operations of a run's steps by the formula."""

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
            every_frame=run.training.supervise == "every_frame",
        )

    def rates(
        self, trainer: Trainer, measured: Sequence[MeasuredStep]
    ) -> tuple[OperationCounts, float, float]:
        """Count one more step, and compare the measured ones with the device's matrix rate.

        Returns:
            Operations; and in operations a second the rate of matrix products, and of the steps.
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
            correction * self.formula.step(one.frames, one.share) / one.seconds for one in measured
        )
        of_frame = _of_frame(trainer, batches[0].to(device))
        flops = OperationCounts(
            frame=OperationCount(counted=of_frame, formula=self.formula.frame),
            step=OperationCount(counted=of_step, formula=predicted),
        )
        return flops, limit, achieved


def _of_frame(trainer: Trainer, batch: Batch) -> int:
    """Count the operations of a batch's first frame, forward and backward, up to its readout."""
    policy, device = trainer.policy, trainer.accelerator.device
    policy.train()
    features, prompt = batch.features[:1], batch.prompts[:1]

    def run() -> None:
        with autocast(trainer.precision, device):
            readout = policy.encoder.readouts(features, prompt, policy.settings.cut)
        if readout.requires_grad:
            readout.float().sum().backward()

    operations = counted(run)
    policy.zero_grad()
    return operations


def matrix_rate(
    precision: str, device: torch.device, shapes: tuple[tuple[int, int, int], ...] = ()
) -> float:
    """Measure the fastest of some plain matrix products, warm, in operations a second.

    The threads are those that PyTorch is set to. Nothing is cast on the way: both factors are in
    the number format, as the step's frozen matrices and its activations are. ``shapes`` (m, k, n)
    of products (m, k) · (k, n) are tried besides large square ones.
    """
    squares = tuple((side, side, side) for side in SQUARES[device.type])
    return max(_rate(shape, DTYPES[precision], device) for shape in (*squares, *shapes))


def _rate(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> float:
    m, k, n = shape
    left = torch.randn(m, k, device=device).to(dtype)
    right = torch.randn(n, k, device=device).to(dtype).t()  # as a linear layer keeps its weight
    out = left @ right
    best, taken, repetition = float("inf"), 0.0, 0
    while taken < SECONDS or repetition < REPETITIONS:
        synchronise(device)
        started = time.perf_counter()
        torch.mm(left, right, out=out)
        synchronise(device)
        seconds = time.perf_counter() - started
        best, taken, repetition = min(best, seconds), taken + seconds, repetition + 1
    return 2 * m * k * n / best


def synchronise(device: torch.device) -> None:
    """Wait for a GPU's queue, or work would seem to take no time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""The form of ``timing.json``."""

from __future__ import annotations

from pydantic import Field

from mobile_vla.config.features import Cut
from mobile_vla.result import Result
from mobile_vla.training.result import MemoryEstimate


class StepSeconds(Result):
    """Seconds of the optimiser steps that were timed."""

    median: float
    min: float
    max: float


class OperationCount(Result):
    """Floating-point operations of the same work, from two sources."""

    counted: int
    """As PyTorch counts them while they run."""
    formula: int
    """As they follow from the sizes of the matrices."""


class OperationCounts(Result):
    """Floating-point operations, forward and backward, behind the cut."""

    frame: OperationCount
    """Of one frame, up to its readout."""
    step: OperationCount
    """Of the first optimiser step."""


class PeakMemory(Result):
    """Memory of one process at its peak, in bytes."""

    measured: int
    """On a CPU of the whole process, on a GPU of its tensors."""
    estimate: MemoryEstimate
    limit_gb: float | None
    """The ``memory_limit_gb`` that the timing was started with, in 10⁹ bytes."""
    adapter: int
    """Size of the adapter alone; 0 where there is none."""


class VariantTime(Result):
    """The cost of an epoch's training steps, done in one way of the ablation."""

    name: str
    """What the variant adds to the one before; of the first ``per window``."""
    precision: str
    seconds_per_epoch: float
    """Median of the rounds."""
    flops_per_epoch: int
    speedup: float
    """How many times as fast as the first variant: the median of the rounds."""
    flops_ratio: float | None
    """Operations of the first variant over this one's; none where this one has none."""


class TimingResult(Result):
    """``timing.json``: what an epoch costs, from a few real steps of an experiment's first run.

    Times are in seconds, rates in operations a second.
    """

    experiment: str
    run: str
    """The run whose settings were timed."""
    device: str
    device_name: str
    threads: int
    """CPU threads of each process."""
    processes: int
    precision: str
    """Resolved number format of the forward pass."""
    cut: Cut
    """Where the features that the steps read were taken."""
    versions: dict[str, str | None]
    """Version of each library that takes part."""
    warmup_steps: int
    steps: int
    """Optimiser steps that were timed, after those to warm up."""
    seconds_per_step: StepSeconds
    data_share: float
    """Share of the steps' time that was spent waiting for data."""
    steps_per_epoch: int
    windows_per_step: int
    """Windows of a full step, of all processes."""
    frames_per_step: float
    """Mean number of distinct frames in a step's batches of one process."""
    windows_per_second: float
    validation_seconds: float
    """Time of a pass over the validation windows."""
    driving_seconds: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """Time of its drives with ``select_by: rollout``, at most: untrained policies drive longest."""
    seconds_per_epoch: float
    """An epoch's training and validation."""
    epochs: int
    """Epochs of the full run."""
    projected_seconds: float
    """Time of the full run."""
    load_average: float
    """The system's, over the last minute, after the steps."""
    contended: bool
    """Whether the machine was busy or the steps uneven, so that the times are worth little."""
    flops: OperationCounts
    matrix_rate: float
    """Rate of a plain matrix product on this device: the limit."""
    achieved_rate: float
    """Rate of the steps."""
    share_of_matrix_rate: float
    """``achieved_rate`` over ``matrix_rate``."""
    memory: PeakMemory
    ablation: list[VariantTime]
    """The plain way of training first; empty without ``timing.ablation``."""

"""The form of ``latency.json``."""

from __future__ import annotations

from mobile_vla.result import Result


class ControlStepSeconds(Result):
    """Seconds of a control step, from the frame in memory to the chunk in memory."""

    p50: float
    p95: float
    p99: float
    min: float
    max: float


class PrecisionLatency(Result):
    """The control step in a number format, and the error in it."""

    precision: str
    """Resolved number format, such as `fp32`."""
    seconds: ControlStepSeconds
    control_rate_hz: float
    """1 / p99: at this rate 99 of 100 steps end in time."""
    memory_bytes: int
    """Peak memory so far: on a GPU that of its tensors, on a CPU that of the whole process."""
    validation_mae: float
    """Mean absolute error on the validation windows, in command units."""
    mae_change: float
    """That error less that of the first number format."""


class LatencyResult(Result):
    """How long a control step of an experiment's first run takes, with a single robot."""

    experiment: str
    run: str
    """Name of the run whose policy is measured."""
    device: str
    device_name: str
    threads: int
    warmup_steps: int
    steps: int
    """Measured steps in each number format."""
    precisions: list[PrecisionLatency]
    """The number formats; the first is that of the training."""
    load_average: float
    """Load of the machine over the last minute, at the end."""
    contended: bool
    """Whether other programs may have disturbed the measurement."""

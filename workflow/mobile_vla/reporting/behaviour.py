"""What the report reads of a policy's behaviour: rollouts, language and latency."""

from __future__ import annotations

from mobile_vla.reporting.records import Record


class Share(Record):
    """A share of successes with its Wilson interval."""

    successes: int
    trials: int
    rate: float
    low: float
    high: float


class PathRatio(Record):
    """Length of the path against the expert's, where both succeeded."""

    rollouts: int
    median: float | None


class Driving(Record):
    """How often a driver did what, on the same scenes as the others."""

    success: Share
    outcomes: dict[str, int]
    path_length_ratio: PathRatio


class Interval(Record):
    """The mean of paired differences, with a bootstrap interval."""

    mean: float
    low: float | None
    high: float | None
    units: int


class Against(Record):
    """The policy's share of successes less another driver's."""

    difference: Interval
    verdict: str


class Rollouts(Record):
    """``rollouts.json``."""

    experiment: str
    run: str
    scenes: int
    rollouts: int
    frame_limit: int
    execute: int
    drivers: dict[str, Driving]
    against_replay: Against
    against_expert: Against


class Listening(Record):
    """``language.json``; errors and shifts in raw command units."""

    experiment: str
    run: str
    episodes: int
    mae: dict[str, dict[str, float]]
    lateral_shift: Interval | None
    verdict: str
    why: str


class Seconds(Record):
    """Seconds of a control step."""

    p50: float
    p95: float
    p99: float


class Format(Record):
    """A control step in one number format."""

    precision: str
    seconds: Seconds
    control_rate_hz: float
    memory_bytes: int
    validation_mae: float
    mae_change: float


class Latency(Record):
    """``latency.json``."""

    experiment: str
    run: str
    device: str
    device_name: str
    threads: int
    steps: int
    memory_of: str
    precisions: list[Format]
    contended: bool

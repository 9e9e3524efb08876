"""What the report reads of each result file, checked when it is read.

Fields that the report does not show are ignored, so that a stage may write more than is read here.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json


class Record(BaseModel):
    """A result file's content, or a part of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one JSON file.

        Raises:
            UserError: the file is missing, is not JSON, or lacks what the report shows.
        """
        return cls.checked(path, read_json(path))

    @classmethod
    def checked(cls, path: Path, value: Any) -> Self:
        """Check the content of ``path``; all that is wrong is reported together.

        Raises:
            UserError: something is missing or of another type.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problems = [
                Problem(
                    f"{path} ({'.'.join(map(str, found['loc'])) or 'whole file'})",
                    found["msg"],
                    remedy="remove the file and run snakemake again",
                )
                for found in error.errors()
            ]
            raise Problems("A result file is not what the report reads", problems) from None


class Epoch(Record):
    """A line of ``metrics.csv``; losses in normalised units, null where none was measured.

    Those below ``val_loss`` are RoboVLMs', under its names, and null without padding.
    """

    epoch: int
    train_loss: float | None
    val_loss: float | None
    train_loss_arm_act: float | None = None
    val_loss_arm_act: float | None = None
    val_loss_gripper_act: float | None = None
    val_acc_gripper_act: float | None = None


class Parameters(Record):
    """How many parameters there are, and how many of each group are trained."""

    backbone_total: int
    trainable: dict[str, int]
    trainable_total: int


class Padded(Record):
    """What a head writes besides the velocities; its loss in normalised units."""

    action_dim: int
    velocities: int
    averaged_over: int
    best_val_loss_arm_act: float | None


class Training(Record):
    """``training_results.json``; times in seconds."""

    experiment: str
    run: str
    epochs: int
    steps: int
    best_epoch: int
    best_val_loss: float | None
    initial_val_loss: float | None
    final_val_loss: float | None
    stopped_early: bool
    avg_epoch_time: float
    epoch_times: list[float]
    total_time: float
    parameters: Parameters
    padding: Padded | None
    policy_bytes: int
    device: str
    precision: str
    threads: int
    cut: str
    windows: dict[str, int]
    episodes: dict[str, int]
    frames: dict[str, int]


class Spread(Record):
    """Seconds of an optimiser step."""

    median: float
    min: float
    max: float


class Estimated(Record):
    """Bytes, as estimated before a run."""

    total: int


class Memory(Record):
    """Peak memory in bytes."""

    measured: int
    estimate: Estimated


class Rung(Record):
    """One way of doing the same epoch, compared with the plain one."""

    name: str
    seconds_per_epoch: float
    speedup: float
    flops_ratio: float | None


class Timing(Record):
    """``timing.json``; times in seconds."""

    experiment: str
    run: str
    device: str
    threads: int
    precision: str
    steps: int
    seconds_per_step: Spread
    steps_per_epoch: int
    seconds_per_epoch: float
    epochs: int
    projected_seconds: float
    windows_per_second: float
    data_share: float
    share_of_matrix_rate: float
    memory: Memory
    ladder: list[Rung]
    contended: bool


class Errors(Record):
    """Errors in raw command units, ``overall`` and by dimension; R² is null without variation."""

    mae: dict[str, float]
    mse: dict[str, float]
    rmse: dict[str, float]
    r2: dict[str, float | None]

    def of(self, metric: str) -> dict[str, float]:
        """Return ``mae``, ``mse`` or ``rmse`` by its name."""
        found: dict[str, float] = getattr(self, metric)
        return found


class BestBaseline(Record):
    """The baseline with the lowest overall MAE."""

    name: str
    mae: float


class EpisodeError(Record):
    """One scored episode's errors, pooled over its windows; displacements in command steps."""

    episode: str
    windows: int
    mae: float
    ade: float
    fde: float


class Trained(Record):
    """What a policy was trained on."""

    dataset: str
    fold: int
    subset: int | None


class Verdict(Record):
    """What may be said of a policy."""

    outcome: Literal["beats", "does_not_beat", "cannot_be_told", "ignores_image", "no_verdict"]
    against: str
    episodes: int
    needed: int | None
    image: str
    prompt: str
    text: str


class Part(Record):
    """Errors of some of the scored steps; which ones say ``step``, ``frame`` or ``cell``."""

    step: int | None = None
    frame: int | None = None
    cell: dict[str, str | None] | None = None
    episodes: int
    windows: int
    steps: int
    policy: Errors
    mae: dict[str, float]


class Displacement(Record):
    """Average and final distance between predicted and true path, in command steps."""

    ade: float
    fde: float


class Segments(Record):
    """Runs of turning or of standing frames: how many, and each predictor's mean displacement."""

    segments: int
    episodes: int
    displacement: dict[str, Displacement]


class Motion(Record):
    """Which motion was driven (rows) and predicted (columns), in steps; rates are shares of 1."""

    classes: list[str]
    confusion: list[list[int]]
    accuracy: float
    macro_f1: float


class Tolerance(Record):
    """Share of steps whose error is within each tolerance, by predictor."""

    tolerances: list[float]
    match: dict[str, list[float]]


class Evaluation(Record):
    """``evaluation.json``; errors in raw command units."""

    experiment: str
    run: str
    dataset: str
    manifest: str
    split: str
    fold: int
    folds: int
    held_out: str | None
    trained_on: Trained
    scored_on: str
    selected_on_scored: bool
    unit: str
    dimensions: tuple[str, ...]
    episodes: int
    windows: int
    steps: int
    policy: Errors
    baselines: dict[str, Errors]
    best_baseline: BestBaseline
    skill: float | None
    verdict: Verdict
    absent: dict[str, str]
    parts: dict[str, Part | None]
    segments: dict[str, Segments | None]
    by_step: list[Part]
    by_frame: list[Part]
    by_cell: list[Part]
    by_scenario: list[Part]
    motion: Motion
    tolerance: Tolerance
    per_episode: list[EpisodeError]

    @property
    def mae(self) -> float:
        """The policy's overall mean absolute error."""
        return self.policy.mae["overall"]


def read_epochs(path: Path) -> tuple[Epoch, ...]:
    """Read the losses of ``metrics.csv``.

    Raises:
        UserError: the file is missing, empty, or lacks a column.
    """
    if not path.is_file():
        raise UserError(f"{path}: not there; `snakemake {path}` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise UserError(f"{path}: no epoch in it; remove it and run snakemake again")
    return tuple(
        Epoch.checked(path, {key: _value(row.get(key)) for key in Epoch.model_fields})
        for row in rows
    )


def _value(text: str | None) -> str | None:
    """Return a cell's text; None where it is empty or not a number."""
    if not text:
        return None
    try:
        return text if math.isfinite(float(text)) else None
    except ValueError:
        return text

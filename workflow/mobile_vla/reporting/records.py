"""What the report reads of each result file, checked when it is read.

Fields that the report does not show are ignored, so that a stage may write more than is read here.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any, Self

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


class Commit(Record):
    """The commit that the code was at, and whether files differed from it."""

    commit: str | None = None
    dirty: bool | None = None


class Provenance(Record):
    """A ``*.provenance.json``; null where something could not be known."""

    stage: str
    outputs: list[str] = []
    settings: dict[str, Any] | None = None
    inputs: dict[str, str | None] | None = None
    code: list[str] | None = None
    versions: dict[str, str | None] | None = None
    git: Commit | None = None
    command: str | None = None
    host: str | None = None
    device: str | None = None
    threads: int | None = None
    python: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None


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

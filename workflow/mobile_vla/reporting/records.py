"""What the report reads of each result file, checked when it is read.

Fields that the report does not show are ignored, so that a stage may write more than is read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mobile_vla.errors import Problem, Problems
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

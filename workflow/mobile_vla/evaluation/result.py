"""The form of ``evaluation.json``: a run's errors beside those of its baselines and controls.

All errors are in command units, except the loss.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mobile_vla.model.result import TrainedOn
from mobile_vla.result import FileDigest, Result
from mobile_vla.sentence import Sentence
from mobile_vla.statistics.result import MeanWithInterval

POLICY = "policy"
"""Name of the policy where predictors are listed by name."""

Outcome = Literal["beats", "does_not_beat", "inconclusive", "ignores_image", "no_verdict"]
Use = Literal["used", "ignored", "misleading", "inconclusive", "not tested"]


def _is_none(value: object) -> bool:
    return value is None


class Errors(Result):
    """Mean absolute and squared errors of a predictor: ``overall``, and by dimension."""

    mae: dict[str, float]
    mse: dict[str, float]
    rmse: dict[str, float]
    r2: dict[str, float | None]
    """Coefficient of determination; null where the truth does not vary."""

    def of(self, metric: str) -> dict[str, float]:
        """Return ``mae``, ``mse`` or ``rmse`` by its name."""
        values: dict[str, float] = getattr(self, metric)
        return values


class BestBaseline(Result):
    """The baseline with the lowest mean absolute error."""

    name: str
    mae: float


class Loss(Result):
    """The training's loss on the scored steps."""

    huber_normalised: float
    """Mean Huber loss in normalised units, over the dimensions that are learnt."""
    delta: float
    """Where the loss turns from square to linear, in normalised units."""
    dimensions: list[str]


class PredictorMae(Result):
    """A predictor's mean absolute error."""

    pooled: MeanWithInterval
    """Pooled over the steps of all episodes."""
    per_episode: float
    """Mean over the episodes of each episode's error."""


class Difference(Result):
    """A policy's mean absolute error less another predictor's, paired by group of episodes."""

    value: float
    """Below 0 the policy is better."""
    low: float | None
    """Lower end of the interval; both ends are null where the episodes carry none."""
    high: float | None
    """Upper end of the interval."""
    p: float | None
    """p value against 0; null without an interval."""
    p_holm: float | None
    """p value adjusted for the number of baselines, or of controls."""
    needed: int | None
    """About how many episodes would show such a difference; null where these do, or carry none."""

    @property
    def better(self) -> bool:
        """Whether the policy is better, beyond chance."""
        return self.high is not None and self.high < 0

    @property
    def worse(self) -> bool:
        """Whether the policy is worse, beyond chance."""
        return self.low is not None and self.low > 0


class Verdict(Result):
    """The conclusion from a policy's differences to its baselines and controls."""

    outcome: Outcome
    """The conclusion; docs/evaluation.md says what each means."""
    against: str
    episodes: int
    """Number of episodes that the verdict rests on."""
    groups: int
    """Number of groups that these are of, such as scenes, by which chance is measured."""
    needed: int | None
    """About how many episodes it takes, if inconclusive and better than every baseline."""
    image: Use
    """Whether predictions depend on the image, and for the better."""
    prompt: Use
    """The same of the prompt."""

    def summary(self) -> str:
        """Return the verdict in a line, for a log."""
        return (
            f"{self.outcome}, best baseline {self.against}, {self.episodes} episodes, "
            f"image {self.image}, prompt {self.prompt}"
        )


class Displacement(Result):
    """Distance between predicted and true trajectory, in command steps."""

    ade: float
    """Average displacement error, over the frames."""
    fde: float
    """Final displacement error."""


class Segments(Result):
    """Displacement within runs of turning or of standing frames, averaged per segment.

    Both trajectories of a segment begin at the same pose.
    """

    segments: int
    episodes: int
    """Number of episodes that have a segment."""
    displacement: dict[str, Displacement]


class EpisodeError(Result):
    """The policy's errors in a scored episode; displacements in command steps."""

    episode: str
    group: str
    """Its group, such as a scene."""
    windows: int
    steps: int
    mae: float
    best_baseline_mae: float
    ade: float
    fde: float


class Slice(Result):
    """Errors over a part of the scored steps; which part, ``step``, ``frame`` or ``cell`` says."""

    step: int | None = Field(default=None, exclude_if=_is_none)
    """Place in the chunk, from 1; only in ``by_step``."""
    frame: int | None = Field(default=None, exclude_if=_is_none)
    """Frame of the episode, from 0; only in ``by_frame``."""
    cell: dict[str, str | None] | None = Field(default=None, exclude_if=_is_none)
    """Values of the scenario by key; only in ``by_cell`` and ``by_scenario``."""
    episodes: int
    """Number of episodes that have a step in it."""
    windows: int
    """Number of windows that have a step in it."""
    steps: int
    policy: Errors
    mae: dict[str, float]
    """Mean absolute error of each baseline."""


class DirectionAccuracy(Result):
    """How often the sign of a dimension is right."""

    with_zeros: float | None
    """Share of all steps; null without a step."""
    steps: int
    without_zeros: float | None
    """Share of the steps whose true command is not 0; null without such a step."""
    steps_without_zeros: int
    """Number of steps whose true command is not 0."""


class StopDetection(Result):
    """How well the class ``stop`` is predicted."""

    precision: float | None
    """Null where ``stop`` is never predicted."""
    predicted_steps: int
    """Steps for which ``stop`` is predicted."""
    recall: float | None
    """Null where ``stop`` is never true."""
    true_steps: int
    """Steps for which ``stop`` is true."""


class MotionConfusion(Result):
    """True and predicted motion classes of the steps."""

    classes: list[str]
    """Names of the classes that occur."""
    confusion: list[list[int]]
    """Steps: a row for each true class, a column for each predicted class."""
    accuracy: float
    """Share of the steps whose class is right."""
    macro_f1: float
    """Mean of the classes' F1."""
    f1: dict[str, float]
    """By class; 0 for a class that is never predicted or never true."""
    stop: StopDetection


class ToleranceCurves(Result):
    """Share of the steps whose every dimension is within a tolerance of the truth."""

    tolerances: list[float]
    """Largest errors that count as a match."""
    match: dict[str, list[float]]
    """By predictor, a share for each tolerance."""

    @property
    def headline(self) -> int:
        """Index of the tolerance that a sentence names."""
        return len(self.tolerances) // 4


class ScoredRun(Result):
    """Whose scores these are, and on what."""

    experiment: str
    run: str
    seed: int
    dataset: str
    """The dataset that is scored."""
    backbone: str
    manifest: str
    """Digest of the scored dataset's manifest."""
    split: str
    """SHA-256 of the scored dataset's ``split.json``."""
    fold: int
    """The fold that is scored."""
    folds: int
    held_out: str | None
    """The part of the scenario that the fold holds out."""
    trained_on: TrainedOn
    """What the policy was trained on; on another dataset's scores it differs from the above."""
    scored_on: Literal["test", "val"]
    """``val`` for a split without test episodes."""


class EvaluationResult(ScoredRun):
    """A run's scores: ``evaluation.json``."""

    selected_on_scored: bool
    """Whether the scored episodes selected the checkpoint: then there is no verdict."""
    unit: Literal["command units"]
    """Unit of all errors but the loss."""
    recorded_units: dict[str, float]
    """By dimension what one command unit is, as recorded: 1, or the dimension's own scale."""
    action_scale: float
    """The command that becomes 1 in normalised units."""
    dimensions: tuple[str, ...]
    episodes: int
    """Number of episodes that have a scored step."""
    windows: int
    """Number of windows that have a scored step."""
    steps: int
    """Number of scored actions of all windows' chunks; masked steps are left out."""
    policy: Errors
    """Pooled over the steps, as are those of baselines and controls."""
    baselines: dict[str, Errors]
    """By name."""
    controls: dict[str, Errors]
    """The policy itself without its images, or under other episodes' prompts."""
    absent: dict[str, Sentence]
    """Baselines and controls that could not be predicted, with the reason."""
    fitted: dict[str, dict[str, int | float]]
    """By baseline, what was chosen on the validation windows."""
    best_baseline: BestBaseline
    skill: float | None
    """1 − error / error of the best baseline; null where the latter is 0."""
    loss: Loss
    mae: dict[str, PredictorMae]
    """By predictor: policy, baselines and controls."""
    differences: dict[str, Difference]
    """Policy less each baseline and control."""
    verdict: Verdict
    displacement: dict[str, Displacement]
    """By predictor, averaged over the episodes."""
    per_episode: list[EpisodeError]
    parts: dict[str, Slice | None]
    """``first_step``, ``without_frame_0``, ``turns``, ``stops``, ``changes``; null if empty."""
    segments: dict[str, Segments | None]
    """Of ``turns`` and ``stops``; null without a segment."""
    by_step: list[Slice]
    by_frame: list[Slice]
    by_cell: list[Slice]
    """By the cells of the split's stratification."""
    by_scenario: list[Slice]
    """By each key of the scenario that varies."""
    dead_band: dict[str, float]
    """By dimension, the largest absolute command that counts as 0."""
    direction: dict[str, DirectionAccuracy]
    """By dimension."""
    direction_agreement: dict[str, float | None]
    """By predictor, how often the sign is right over all dimensions; null where nothing moves."""
    motion: MotionConfusion
    """The policy's confusion of motion classes."""
    macro_f1: dict[str, float]
    """Of the motion classes, by predictor."""
    tolerance: ToleranceCurves
    smoothness: dict[str, dict[str, float]]
    """Of policy and truth, by dimension: mean absolute change from a frame to the next."""
    saturation: dict[str, dict[str, float]]
    """Of policy and truth, by dimension: share of commands beyond the action scale."""
    predictions_file: FileDigest
    """Of ``predictions.npz``."""

    def array_of(self, predictor: str) -> str:
        """Return the name of a predictor's array in ``predictions.npz``."""
        if predictor == POLICY:
            return "prediction"
        return f"control_{predictor}" if predictor in self.controls else f"baseline_{predictor}"

    @property
    def units(self) -> np.ndarray:
        """What one command unit of each dimension is, as recorded: (A,) float32."""
        return np.array([self.recorded_units[name] for name in self.dimensions], np.float32)

    @property
    def policy_mae(self) -> float:
        """The policy's overall mean absolute error."""
        return self.policy.mae["overall"]

"""The form of ``comparison.json``; all errors are in command units."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mobile_vla.evaluation.result import BestBaseline, Difference, Verdict
from mobile_vla.result import Result
from mobile_vla.sentence import Sentence
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.result import MeanWithInterval, PairedMean, RankCorrelation

OpenLoopMeasure = Literal[
    "mae",
    "tolerance",
    "direction",
    "macro_f1",
    "rmse",
    "displacement",
    "val_loss",
    "val_mae",
    "val_objective",
]


class MeasureRanks(Result):
    """How well an open-loop measure ranks as driving does."""

    measure: OpenLoopMeasure
    """Over experiments: ``mae`` and the names of ``Measure``. Over the checkpoints of a run:
    columns of ``metrics.csv``, of ``val_mae`` the mean over the dimensions."""
    correlation: RankCorrelation
    """With the share of successes; +1: the order by this measure, from the best value on, is the
    order by driving. An error's sign is changed for that."""


class DrivenGroup(Result):
    """How experiments rank by driving, beside how they rank by their errors."""

    success: dict[str, float]
    """By experiment, the share of rollouts that succeed: a mean over its runs."""
    lowest: str
    """The one of them with the lowest error."""
    against_lowest: dict[str, PairedMean]
    """Of each other one that drove in the same scenes, its share less that of ``lowest``, paired by
    scene. The confidence is corrected (Bonferroni) for the number of differences."""
    ranks: list[MeasureRanks]
    """Of each measure that all of these experiments have."""

    @property
    def more_often(self) -> list[str]:
        """Those that arrive more often than ``lowest``, the most frequent first."""
        names = [
            name
            for name, own in self.against_lowest.items()
            if own.units >= FEWEST and own.above(0)
        ]
        return sorted(names, key=self.success.__getitem__, reverse=True)


class RunScore(Result):
    """A run of an experiment; its ``evaluation.json`` has the rest."""

    run: str
    """Name of the run, as ``seed0``."""
    seed: int
    """Seed of the run."""
    fold: int
    """The fold that is scored."""
    held_out: str | None
    """The part of the scenario that the fold holds out."""
    mae: float
    """The policy's mean absolute error."""
    skill: float | None
    """1 − error / error of the best baseline; null where the latter is 0."""
    checkpoints: list[MeasureRanks] = Field(default=[], exclude_if=lambda ranks: not ranks)
    """Of measures of its checkpoints, one an epoch; only with ``select_by: rollout``. Neighbouring
    checkpoints are alike, so that the intervals are too narrow."""


MeasureName = Literal["tolerance", "direction", "macro_f1", "rmse", "displacement"]


class Measure(Result):
    """A measure beside the mean absolute error: the policy, and the baseline that is best by it.

    Averages over the runs, weighted by their steps. No interval, and no verdict rests on it.
    """

    name: MeasureName
    """``tolerance``: share of the steps within a tolerance; ``direction``: how often the sign of a
    moving command is right; ``macro_f1``: of the motion classes; ``rmse``: root of the mean squared
    error; ``displacement``: average displacement error, in command steps."""
    tolerance: float | None
    """The tolerance, in command units; null for the other measures."""
    policy: float
    baseline: str
    """The baseline that is best by this measure."""
    best: float
    """Its value."""
    ahead: Literal["policy", "baseline"] | None
    """Which of the two is better; null where they are equal."""


class ExperimentScores(Result):
    """An experiment, its seeds averaged and its folds put together."""

    experiment: str
    """Name of the experiment."""
    dataset: str
    """The dataset that is scored."""
    scored_on: str
    """``test``, or ``val`` for a split without test episodes."""
    seeds: int
    """Number of seeds."""
    folds: int
    """Number of folds."""
    episodes: int
    """Number of episodes, those of all folds."""
    groups: int
    """Number of groups that these are of, such as scenes, by which chance is measured."""
    steps: int
    """Number of scored steps."""
    mae: MeanWithInterval
    """The policy's mean absolute error."""
    baselines: dict[str, float]
    """Mean absolute error by baseline."""
    controls: dict[str, float]
    """Mean absolute error by control."""
    best_baseline: BestBaseline
    """The baseline with the lowest error."""
    skill: float | None
    """1 − error / error of the best baseline; null where the latter is 0."""
    differences: dict[str, Difference]
    """Policy less each baseline and control."""
    verdict: Verdict
    """The conclusion."""
    measures: list[Measure]
    """Other measures, which may disagree with the verdict."""
    runs: list[RunScore]
    """Its runs, in the order of config.yaml."""

    @property
    def disagreeing(self) -> list[Measure]:
        """The measures by which a verdict of better or worse would be the other one."""
        other = {"beats": "baseline", "does_not_beat": "policy"}.get(self.verdict.outcome)
        return [own for own in self.measures if own.ahead is not None and own.ahead == other]


class ExperimentPair(Result):
    """Two experiments on the same steps: the error of the first less that of the second."""

    experiments: tuple[str, str]
    """Their names."""
    difference: float
    """Mean absolute error of the first less that of the second, paired by group of episodes."""
    low: float | None
    """Lower end of the interval; both ends are null where the episodes carry none."""
    high: float | None
    """Upper end of the interval."""
    confidence: float
    """That of the interval, which agrees with the adjusted p value."""
    p: float | None
    """p value against 0; null without an interval."""
    p_holm: float | None
    """p value adjusted for the number of pairs."""
    better: str | None
    """The experiment with the lower error, by ``p_holm``; null where that is inconclusive."""
    needed: int | None
    """About how many episodes would show a difference of this size, where it is inconclusive."""


class GroupMember(Result):
    """An experiment's error on the steps that all experiments of its group predict."""

    experiment: str
    """Name of the experiment."""
    mae: MeanWithInterval | None
    """The policy's mean absolute error; null without a common step."""
    steps_left_out: list[int]
    """For each run, how many of its scored steps are not common to the group."""
    letters: list[str]
    """Those that share a letter are tied: no pair of them is conclusive. ``a`` has the lowest
    error; none where no pair can be conclusive: too few episodes, or they chose a checkpoint."""


class ComparableGroup(Result):
    """Experiments whose errors mean the same, on the steps that all of them predict."""

    dataset: str
    """The dataset that is scored."""
    scored_on: str
    """``test``, or ``val`` for a split without test episodes."""
    dimensions: list[str]
    """Names of the predicted dimensions."""
    episodes: int
    """Number of episodes that have a common step."""
    steps: int
    """Steps of the same episode, frame and number of frames ahead."""
    experiments: list[GroupMember]
    """Its experiments, in the order of config.yaml."""
    pairs: list[ExperimentPair]
    """All pairs of its experiments; none where ``why_no_pairs`` has a reason."""
    why_no_pairs: Sentence | None
    """Why its experiments are not compared; null where they are."""
    driven: DrivenGroup | None = Field(default=None, exclude_if=lambda driven: driven is None)
    """Its experiments in closed loop, where a world is known; not in ``on_members``."""


class NotCompared(Result):
    """Two groups of experiments that are not compared with each other."""

    experiments: tuple[list[str], list[str]]
    """Names of both groups' experiments."""
    why: Sentence
    """In what their data differ."""


class ComparisonResult(Result):
    """Experiments beside their baselines and each other: ``comparison.json``."""

    confidence: float
    """That of all intervals but those of pairs."""
    experiments: list[ExperimentScores]
    """Each experiment beside its baselines and controls."""
    groups: list[ComparableGroup]
    """Experiments beside each other, on the steps that all of a group predict."""
    not_compared: list[NotCompared]
    """Pairs of groups that are not compared."""
    on_members: list[ComparableGroup] = Field(default=[], exclude_if=lambda groups: not groups)
    """By dataset of a mixture: experiments on the mixture beside those on the dataset alone, scored
    on that dataset. Only pairs with an experiment on a mixture; no letters."""

"""The form of ``rollouts.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mobile_vla.driving.outcome import Outcome
from mobile_vla.result import FileDigest, Result
from mobile_vla.statistics.result import PairedMean, Proportion

DriverVerdict = Literal[
    "better than the replay",
    "worse than the replay",
    "better than the expert",
    "worse than the expert",
    "inconclusive",
]


class PathLengthRatio(Result):
    """Length of the path over that of the expert's, where both succeed."""

    rollouts: int
    """Number of rollouts in which both succeed."""
    median: float | None
    """Median of their ratios; null where there is none."""


class DriverResult(Result):
    """The rollouts of a driver."""

    success: Proportion
    """Proportion of rollouts that succeed; its interval takes rollouts as independent."""
    outcomes: dict[Outcome, int]
    success_by_side: dict[str, Proportion]
    """Proportion that succeed, by the side that the robot is instructed to pass on."""
    path_length_ratio: PathLengthRatio


class DriverComparison(Result):
    """The policy against another driver in the same scenes."""

    difference: PairedMean
    """The policy's proportion of successes less the other's, paired by scene."""
    verdict: DriverVerdict
    """Whether the interval of the difference lies above 0, below 0, or neither."""


class SceneOutcomes(Result):
    """Outcomes of all drivers in a scene that is passed on a side."""

    scene: int
    """Number of the scene; from 1,000,000 on: it is in no dataset."""
    side: str
    """That the robot is instructed to pass on."""
    distance: str
    layout: str
    policy: Outcome
    expert: Outcome
    """Outcome of the scripted driver that recorded the dataset."""
    replay: Outcome
    """Outcome of the replay of the most frequent actions."""


class WorldRollouts(Result):
    """The rollouts in the world of one of a mixture's datasets."""

    dataset: str
    rollouts: int
    frame_limit: int
    """Number of frames until a timeout."""
    success: dict[str, Proportion]
    """By driver."""


class RolloutResult(Result):
    """A run's policy, the expert and the replay in closed loop in the same unseen scenes.

    `success`: the robot reaches the target, has passed the box on the instructed side, and never
    touches it. `collision`: it touches the box. `wrong_side`: it passes on the other side, whether
    or not it then reaches the target. `timeout`: none of these within the time limit.
    """

    experiment: str
    run: str
    dataset: str
    """Name of the dataset that the policy was trained on."""
    manifest: str
    scenes: int
    """Number of scenes, each passed on both sides; of a mixture those of all worlds together."""
    rollouts: int
    execute: int
    """Steps of a chunk that are carried out before the next prediction takes over."""
    frame_limit: int
    """Number of frames until a timeout; of a mixture the largest."""
    drivers: dict[str, DriverResult]
    """Results of `policy`, `expert` and `replay`."""
    against_replay: DriverComparison
    """The policy against the replay of the most frequent actions."""
    against_expert: DriverComparison
    by_dataset: list[WorldRollouts] = Field(default=[], exclude_if=lambda worlds: not worlds)
    """By dataset of a mixture, of those that are simulated; not there for other datasets."""
    each: list[SceneOutcomes]
    paths_file: FileDigest
    """Identity of `rollouts.npz`."""

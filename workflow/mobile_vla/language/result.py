"""The form of ``language.json``."""

from __future__ import annotations

from typing import Literal

from mobile_vla.result import Result
from mobile_vla.sentence import Sentence
from mobile_vla.statistics.result import PairedMean

LanguageVerdict = Literal["language used", "language ignored", "language reversed", "inconclusive"]


class LateralShift(PairedMean):
    """The shift of the first command to the left under a left prompt, against a right prompt.

    In command units; a mean over the windows of a group of episodes, then over groups.
    """

    dimension: str
    """The lateral dimension: `linear_y`, or `angular_z` where that is not predicted."""
    threshold: float
    """Smallest shift that counts, in command units."""


class SwappedRun(Result):
    """A run under the prompts of the prompt-swap test."""

    experiment: str
    run: str
    dataset: str
    """Name of the dataset, whose scored windows are predicted."""
    manifest: str
    split: str
    scored_on: str
    """``test``, or ``val`` for a split without test episodes."""
    prompts: dict[str, list[str]]
    """Texts of the kinds `right` (as in training), `opposite`, `constant` and `paraphrase`."""


class LanguageResult(SwappedRun):
    """Actions of a run's policy under other prompts; errors and shifts in command units."""

    dimensions: tuple[str, ...]
    episodes: int
    windows: int
    """Number of their windows that have a step."""
    steps: int
    mae: dict[str, dict[str, float]]
    """By kind of prompt, the mean absolute error: `overall` and by dimension."""
    mae_of_opposite_against_mirrored_truth: dict[str, float]
    """The same under the opposite prompt, against the actions mirrored from left to right."""
    sensitivity: dict[str, dict[str, float]]
    """By other prompt, the mean absolute change against the right prompt, as `mae`."""
    mae_increase_under_opposite: PairedMean
    """Error under the opposite prompt less that under the right one, paired by group."""
    lateral_shift: LateralShift | None
    """What the verdict rests on; null where no lateral command can be swapped."""
    verdict: LanguageVerdict
    """Whether the shift lies above the threshold, between it and its negative, or below that."""
    why: Sentence

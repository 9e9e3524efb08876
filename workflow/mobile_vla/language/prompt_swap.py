"""The prompt-swap test: how a policy's commands follow the side that its prompt names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.config.language import Language
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.conventions import columns_of
from mobile_vla.data.mirror import SIGNS, mirrored_values
from mobile_vla.data.prompts import prompt_values, render
from mobile_vla.data.result import Episode
from mobile_vla.language.result import LanguageResult, LanguageVerdict, LateralShift, SwappedRun
from mobile_vla.sentence import Sentence, say
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.proportions import paired_mean
from mobile_vla.statistics.result import PairedMean

RIGHT = "right"
OPPOSITE = "opposite"


def prompts_by_kind(
    episodes: Sequence[Episode], prompts: Sequence[Prompt], language: Language
) -> dict[str, list[str]]:
    """Return the E episodes' texts of each kind of prompt; ``prompts`` are those of the episodes.

    ``right`` is as in training, ``opposite`` has left and right exchanged.
    """
    pairs = list(zip(prompts, map(prompt_values, episodes), strict=True))
    texts = {
        RIGHT: [render(prompt, values) for prompt, values in pairs],
        OPPOSITE: [render(prompt, mirrored_values(values)) for prompt, values in pairs],
        "constant": [language.constant] * len(pairs),
    }
    if language.paraphrase is not None:
        changed = {"template": language.paraphrase}
        texts["paraphrase"] = [
            render(prompt.model_copy(update=changed), values) for prompt, values in pairs
        ]
    return texts


# Dimensions that show a side, the first that is predicted; positive is left in both.
LATERAL = ("linear_y", "angular_z")


@dataclass(frozen=True, eq=False)
class SwapWindows:
    """N windows that are predicted under several prompts."""

    truth: np.ndarray  # (N, C, A) in command units
    mask: np.ndarray  # (N, C) True where the step exists
    episode: np.ndarray  # (N,) index of each window's episode in `groups` and `sides`
    groups: Sequence[str]  # by episode; both sides of a scene are one
    sides: Sequence[str | None]  # by episode; None where its opposite prompt is the same text
    dimensions: Sequence[str]

    def rows_by_group(self, counted: np.ndarray) -> list[np.ndarray]:
        """Return the indices of the counted windows (N,) of each group that has any."""
        group = np.unique(np.array(self.groups), return_inverse=True)[1][self.episode]  # (N,)
        return [np.flatnonzero((group == one) & counted) for one in np.unique(group[counted])]


def score_prompt_swap(
    run: SwappedRun,
    predicted: Mapping[str, np.ndarray],
    windows: SwapWindows,
    threshold: float,
    uncertainty: Uncertainty,
) -> LanguageResult:
    """Compare the predictions under different prompts.

    The verdict rests on the lateral shift: how much farther left the first command of a chunk, the
    one that a robot would carry out, goes when the prompt says left than when it says right, in the
    same window. What counts are the windows at which the prompt decides: those whose true first
    command goes to the instructed side. (On a straight stretch, and on the way back behind the box,
    the driver does the same under either instruction.) The mean over a group's windows is one
    value, and the interval is a bootstrap over groups of episodes. Language is ``used`` where the
    interval lies above the threshold, ``reversed`` where it lies below its negative, and
    ``ignored`` where it lies between both: a policy whose commands merely change with the prompt,
    without regard to its meaning, does not use it.

    Args:
        predicted: by kind of prompt, (N, C, A) in command units.
        threshold: smallest shift that counts, in command units.
    """
    mask, dimensions = windows.mask, windows.dimensions
    mirrored = windows.truth * SIGNS[columns_of(dimensions)]
    shift, why = _lateral_shift(predicted, windows, threshold, uncertainty)
    with_step = mask.any(axis=1)  # (N,)
    return LanguageResult(
        **dict(run),
        dimensions=tuple(dimensions),
        episodes=len(np.unique(windows.episode[with_step])),
        windows=int(with_step.sum()),
        steps=int(mask.sum()),
        mae={
            kind: _mean_change(values, windows.truth, windows) for kind, values in predicted.items()
        },
        mae_of_opposite_against_mirrored_truth=_mean_change(predicted[OPPOSITE], mirrored, windows),
        sensitivity={
            kind: _mean_change(values, predicted[RIGHT], windows)
            for kind, values in predicted.items()
            if kind != RIGHT
        },
        mae_increase_under_opposite=_mae_increase(predicted, windows, uncertainty),
        lateral_shift=shift,
        verdict="inconclusive" if shift is None or shift.units < FEWEST else _verdict(shift),
        why=why,
    )


def _mean_change(values: np.ndarray, other: np.ndarray, windows: SwapWindows) -> dict[str, float]:
    mask = windows.mask
    change = np.abs(values[mask].astype(np.float64) - other[mask])  # (S, A)
    each = dict(zip(windows.dimensions, change.mean(axis=0).tolist(), strict=True))
    return {"overall": float(change.mean()), **each}


def _mae_increase(
    predicted: Mapping[str, np.ndarray], windows: SwapWindows, uncertainty: Uncertainty
) -> PairedMean:
    """Return by how much the MAE rises under the opposite prompt, paired by group."""
    right, opposite = (
        np.abs(predicted[kind].astype(np.float64) - windows.truth).mean(axis=2)
        for kind in (RIGHT, OPPOSITE)
    )
    increase, mask = opposite - right, windows.mask  # (N, C)
    rows_by_group = windows.rows_by_group(np.any(mask, axis=1))
    means = [increase[rows][mask[rows]].mean() for rows in rows_by_group]
    return paired_mean(means, uncertainty)


def _lateral_shift(
    predicted: Mapping[str, np.ndarray],
    windows: SwapWindows,
    threshold: float,
    uncertainty: Uncertainty,
) -> tuple[LateralShift | None, Sentence]:
    """Return the lateral shift, and what the verdict rests on, or why there is none."""
    lateral = [name for name in LATERAL if name in windows.dimensions]
    if not lateral:
        return None, say("no predicted dimension is lateral: {names}", names=LATERAL)
    swapped = np.array([side is not None for side in windows.sides])[windows.episode]  # (N,)
    counted = swapped & windows.mask[:, 0]
    if not counted.any():
        return None, say("no scored episode has a prompt that changes with its side")
    # More to the left under the right prompt, where that says left; else under the opposite one.
    signs = np.array([-1.0 if side == "right" else 1.0 for side in windows.sides])
    sign = signs[windows.episode]  # (N,)
    column = list(windows.dimensions).index(lateral[0])
    counted &= windows.truth[:, 0, column] * sign > threshold
    if not counted.any():
        return None, say("in no scored window does the driver go to the instructed side")
    change = (predicted[RIGHT] - predicted[OPPOSITE]).astype(np.float64)[:, 0, column] * sign
    means = [change[rows].mean() for rows in windows.rows_by_group(counted)]
    shift = LateralShift(
        **dict(paired_mean(means, uncertainty)),
        dimension=lateral[0],
        threshold=threshold,
    )
    if shift.units < FEWEST:
        return shift, say("only {n} groups; {needed} are needed", n=shift.units, needed=FEWEST)
    return shift, _reason(shift)


def _verdict(shift: LateralShift) -> LanguageVerdict:
    if shift.above(shift.threshold):
        return "language used"
    if shift.below(-shift.threshold):
        return "language reversed"
    ignored = shift.above(-shift.threshold) and shift.below(shift.threshold)
    return "language ignored" if ignored else "inconclusive"


def _reason(shift: LateralShift) -> Sentence:
    interval = say("no interval")
    if shift.low is not None and shift.high is not None:
        interval = say(
            "{confidence:.0%} interval {low:+.3f} to {high:+.3f}",
            confidence=shift.confidence,
            low=shift.low,
            high=shift.high,
        )
    return say(
        "in windows where the driver turns to the instructed side, {dimension} goes {shift:+.3f} "
        "farther left under a left prompt than under a right prompt ({interval}, {n} groups; "
        "threshold {threshold:.3f})",
        dimension=shift.dimension,
        shift=shift.mean,
        interval=interval,
        n=shift.units,
        threshold=shift.threshold,
    )

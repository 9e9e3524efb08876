"""Experiments that may be compared, on the steps that all of them predict, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np

from mobile_vla.comparison.experiments import Kept, combined
from mobile_vla.comparison.result import ComparableGroup, ExperimentPair, GroupMember
from mobile_vla.comparison.run_scores import RunScores
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.result import POLICY
from mobile_vla.evaluation.verdict import ErrorSums
from mobile_vla.statistics.intervals import (
    FEWEST,
    bootstrap,
    closed,
    episodes_needed,
    holm,
    holm_confidence,
    mean_with_interval,
)

NO_COMMON_STEP = (
    "their windows and chunks share no step: the same frame, predicted equally far ahead; choose "
    "chunks that overlap"
)
NO_OTHER = "there is no other experiment on the same data"

Experiments = Mapping[str, Sequence[RunScores]]


def compare_group(experiments: Experiments, uncertainty: Uncertainty) -> ComparableGroup:
    """Return each experiment's error on the common steps, and the paired differences.

    Common are the steps of the same episode, frame and number of frames ahead, which every window
    and chunk of every experiment allows; on other steps the difficulty of the steps would differ
    too.

    Args:
        experiments: the runs of each experiment, all scored on the same data.
        uncertainty: settings of intervals and verdicts.
    """
    runs = [run for members in experiments.values() for run in members]
    names = sorted({name for run in runs for name in np.unique(run.names).tolist()})
    places = {name: place for place, name in enumerate(names)}
    common = _common_steps(runs, places)
    first = runs[0].evaluation
    group = ComparableGroup(
        dataset=first.dataset,
        scored_on=first.scored_on,
        dimensions=list(first.dimensions),
        episodes=0,
        steps=0,
        experiments=[
            GroupMember(
                experiment=name,
                mae=None,
                steps_left_out=[len(run.names) - len(common[run.fold]) for run in members],
            )
            for name, members in experiments.items()
        ],
        pairs=[],
        why_no_pairs=NO_COMMON_STEP,
    )
    if not all(len(steps) for steps in common.values()):
        return group
    sums: list[ErrorSums] = []
    for members in experiments.values():
        kept: Kept = {
            index: np.isin(run.keys(places), common[run.fold]) for index, run in enumerate(members)
        }
        sums.append(combined(members, kept)[0])
    errors = np.stack([_by_episode(each, sums[0].episodes) for each in sums], axis=1)
    boot = bootstrap(errors, sums[0].values, uncertainty.draws, uncertainty.seed)
    pairs = []
    if len(experiments) > 1:
        selected = any(run.evaluation.selected_on_scored for run in runs)
        pairs = _pairs(list(experiments), errors, sums[0].values, selected, uncertainty)
    return group.model_copy(
        update={
            "episodes": len(sums[0].episodes),
            "steps": int(sums[0].steps.sum()),
            "experiments": [
                member.model_copy(
                    update={"mae": mean_with_interval(boot, index, uncertainty.confidence)}
                )
                for index, member in enumerate(group.experiments)
            ],
            "pairs": pairs,
            "why_no_pairs": None if pairs else NO_OTHER,
        }
    )


def _common_steps(runs: Sequence[RunScores], places: Mapping[str, int]) -> dict[int, np.ndarray]:
    """Return by fold the steps that all its runs have."""
    return {
        fold: reduce(np.intersect1d, [run.keys(places) for run in runs if run.fold == fold])
        for fold in sorted({run.fold for run in runs})
    }


def _by_episode(sums: ErrorSums, episodes: Sequence[str]) -> np.ndarray:
    """Return the policy's summed error of each episode, in an order that is the same for all."""
    place = {name: index for index, name in enumerate(sums.episodes)}
    order = [place[name] for name in episodes]
    return np.asarray(sums.absolute[order, sums.names.index(POLICY)])


def _pairs(
    names: Sequence[str],
    errors: np.ndarray,
    values: np.ndarray,
    selected_on_scored: bool,
    uncertainty: Uncertainty,
) -> list[ExperimentPair]:
    """Return the difference of each pair, with intervals corrected for their number."""
    places = list(itertools.combinations(range(len(names)), 2))
    paired = np.stack([errors[:, a] - errors[:, b] for a, b in places], axis=1)
    boot = bootstrap(paired, values, uncertainty.draws, uncertainty.seed)
    p_values = [boot.p_value(index) for index in range(len(places))]
    adjusted = holm(p_values)
    levels = holm_confidence(p_values, uncertainty.confidence)
    pairs = []
    for index, (a, b) in enumerate(places):
        low, high = boot.interval(index, levels[index])
        better, needed = None, None
        if not selected_on_scored:
            if boot.episodes >= FEWEST and (high < 0 or low > 0):
                better = names[a] if high < 0 else names[b]
            else:
                needed = episodes_needed(boot, index, uncertainty.confidence, uncertainty.power)
        pairs.append(
            ExperimentPair(
                experiments=(names[a], names[b]),
                difference=float(boot.values[index]),
                low=closed(low),
                high=closed(high),
                confidence=levels[index],
                p=p_values[index],
                p_holm=adjusted[index],
                better=better,
                needed=needed,
            )
        )
    return pairs

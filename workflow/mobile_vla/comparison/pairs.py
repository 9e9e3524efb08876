"""Experiments that may be compared, on the steps that all of them predict, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from functools import reduce

import numpy as np

from mobile_vla.comparison.experiments import combined
from mobile_vla.comparison.letters import compact_letters
from mobile_vla.comparison.result import ComparableGroup, ExperimentPair, GroupMember
from mobile_vla.comparison.run_scores import RunScores
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.result import POLICY
from mobile_vla.evaluation.verdict import ErrorSums
from mobile_vla.sentence import say
from mobile_vla.statistics.intervals import (
    FEWEST,
    bootstrap,
    episodes_needed,
    holm,
    holm_confidence,
    mean_with_interval,
)
from mobile_vla.statistics.result import MeanWithInterval

NO_COMMON_STEP = say(
    "their windows and chunks share no step: the same frame, predicted equally far ahead; choose "
    "chunks that overlap"
)
NO_OTHER = say("there is no other experiment on the same data")

Experiments = Mapping[str, Sequence[RunScores]]


def compare_group(
    experiments: Experiments, uncertainty: Uncertainty, with_one_of: Collection[str] | None = None
) -> ComparableGroup:
    """Return each experiment's error on the common steps, and the paired differences.

    Common are the steps of the same episode, frame and number of frames ahead, which every window
    and chunk of every experiment allows; on other steps their difficulty would differ too.

    Args:
        with_one_of: experiments of which each pair must have one; there are no letters then.
    """
    runs = [run for members in experiments.values() for run in members]
    names = sorted({name for run in runs for name in np.unique(run.names).tolist()})
    places = {name: place for place, name in enumerate(names)}
    common = {  # by fold the steps that all its runs have
        fold: reduce(np.intersect1d, [run.keys(places) for run in runs if run.fold == fold])
        for fold in sorted({run.fold for run in runs})
    }
    first = runs[0].evaluation
    episodes, steps, pairs, why = 0, 0, list[ExperimentPair](), NO_COMMON_STEP
    selected = any(run.evaluation.selected_on_scored for run in runs)
    maes: list[MeanWithInterval | None] = [None] * len(experiments)
    if all(len(keys) for keys in common.values()):
        sums = [
            combined(own, [np.isin(run.keys(places), common[run.fold]) for run in own])[0]
            for own in experiments.values()
        ]
        values = sums[0].values
        errors = np.stack([_by_episode(each, sums[0].episodes) for each in sums], axis=1)
        boot = bootstrap(errors, values, uncertainty.draws, uncertainty.seed)
        maes = [mean_with_interval(boot, i, uncertainty.confidence) for i in range(len(sums))]
        episodes, steps = len(sums[0].episodes), int(sums[0].steps.sum())
        if len(experiments) > 1:
            named = list(experiments)
            chosen = [
                (a, b)
                for a, b in itertools.combinations(range(len(named)), 2)
                if with_one_of is None or {named[a], named[b]} & set(with_one_of)
            ]
            pairs = _pairs(named, chosen, errors, values, selected, uncertainty)
        why = NO_OTHER
    tested = bool(pairs) and episodes >= FEWEST and not selected and with_one_of is None
    letters = _letters(list(experiments), maes, pairs) if tested else {}
    return ComparableGroup(
        dataset=first.dataset,
        scored_on=first.scored_on,
        dimensions=list(first.dimensions),
        episodes=episodes,
        steps=steps,
        experiments=[
            GroupMember(
                experiment=name,
                mae=mae,
                steps_left_out=[len(run.names) - len(common[run.fold]) for run in members],
                letters=letters.get(name, []),
            )
            for (name, members), mae in zip(experiments.items(), maes, strict=True)
        ],
        pairs=pairs,
        why_no_pairs=None if pairs else why,
    )


def _letters(
    names: Sequence[str], maes: Sequence[MeanWithInterval | None], pairs: Sequence[ExperimentPair]
) -> dict[str, list[str]]:
    """Return each experiment's letters, the lowest error first."""
    error = {name: mae.value for name, mae in zip(names, maes, strict=True) if mae is not None}
    ranked = sorted(error, key=error.__getitem__)
    return compact_letters(ranked, {own.experiments for own in pairs if own.better is not None})


def _by_episode(sums: ErrorSums, episodes: Sequence[str]) -> np.ndarray:
    """Return the policy's summed error of each episode, in an order that is the same for all."""
    place = {name: index for index, name in enumerate(sums.episodes)}
    order = [place[name] for name in episodes]
    return np.asarray(sums.absolute[order, sums.names.index(POLICY)])


def _pairs(
    names: Sequence[str],
    places: Sequence[tuple[int, int]],
    errors: np.ndarray,
    values: np.ndarray,
    selected_on_scored: bool,
    uncertainty: Uncertainty,
) -> list[ExperimentPair]:
    """Return the difference of each pair, with intervals corrected for their number."""
    paired = np.stack([errors[:, a] - errors[:, b] for a, b in places], axis=1)
    boot = bootstrap(paired, values, uncertainty.draws, uncertainty.seed)
    p_values = [boot.p_value(index, uncertainty.confidence) for index in range(len(places))]
    adjusted = holm(p_values)
    levels = holm_confidence(p_values, uncertainty.confidence)
    pairs = []
    for index, (a, b) in enumerate(places):
        ends = boot.interval(index, levels[index])  # of a higher confidence, it may have no ends
        better, needed = None, None
        if ends is not None and not selected_on_scored:
            if boot.episodes >= FEWEST and (ends[1] < 0 or ends[0] > 0):
                better = names[a] if ends[1] < 0 else names[b]
            else:
                needed = episodes_needed(boot, index, uncertainty.confidence, uncertainty.power)
        pairs.append(
            ExperimentPair(
                experiments=(names[a], names[b]),
                difference=float(boot.values[index]),
                low=ends[0] if ends else None,
                high=ends[1] if ends else None,
                confidence=levels[index],
                p=p_values[index] if ends else None,
                p_holm=adjusted[index] if ends else None,
                better=better,
                needed=needed,
            )
        )
    return pairs

"""Experiments that may be compared, on the steps that all of them predict, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    Bootstrap,
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
TOO_MANY = say(
    "more than 100 experiments would make so many pairs that no difference could be told from "
    "chance; compare fewer, in projects of their own"
)

# The smallest p value is 2 / draws, and Holm's correction multiplies it by the number of pairs.
# With so many draws a pair, a clear difference still has a p value a tenth of what is asked.
RESOLUTION = 20
MOST_DRAWS = 200_000  # enough for 500 pairs; of more, only the clearest can be told
MOST_PAIRS = 4950  # those of 100 experiments: of more, MOST_DRAWS would tell none
HELD = 1 << 23  # samples' means held at a time, 67 MB; drawing them takes some times as much

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
    episodes, groups, steps, pairs, why = 0, 0, 0, list[ExperimentPair](), NO_COMMON_STEP
    selected = any(run.evaluation.selected_on_scored for run in runs)
    maes: list[MeanWithInterval | None] = [None] * len(experiments)
    if all(len(keys) for keys in common.values()):
        sums = [
            combined(own, [np.isin(run.keys(places), common[run.fold]) for run in own])[0]
            for own in experiments.values()
        ]
        units = [each.by_group() for each in sums]
        values, groups = units[0].values, len(units[0].groups)
        errors = np.stack([_by_unit(each, units[0].groups) for each in units], axis=1)
        boot = bootstrap(errors, values, uncertainty.draws, uncertainty.seed)
        maes = [mean_with_interval(boot, i, uncertainty.confidence) for i in range(len(sums))]
        episodes, steps = len(sums[0].episodes), int(sums[0].steps.sum())
        why = NO_OTHER
        if len(experiments) > 1:
            named = list(experiments)
            chosen = [
                (a, b)
                for a, b in itertools.combinations(range(len(named)), 2)
                if with_one_of is None or {named[a], named[b]} & set(with_one_of)
            ]
            summed = _SummedErrors(named, errors, values, episodes, selected)
            why = TOO_MANY
            if len(chosen) <= MOST_PAIRS:
                pairs, why = _pairs(summed, chosen, uncertainty), NO_OTHER
    tested = bool(pairs) and groups >= FEWEST and not selected and with_one_of is None
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


def _by_unit(sums: ErrorSums, groups: Sequence[str]) -> np.ndarray:
    """Return the policy's summed error of each group, in an order that is the same for all."""
    place = {name: index for index, name in enumerate(sums.groups)}
    order = [place[name] for name in groups]
    return np.asarray(sums.absolute[order, sums.names.index(POLICY)])


@dataclass(frozen=True, eq=False)
class _SummedErrors:
    """The errors of E experiments on the same steps, of n groups of episodes."""

    names: Sequence[str]  # (E,)
    errors: np.ndarray  # (n, E) summed
    values: np.ndarray  # (n,) number of values that each sum is over
    episodes: int
    selected_on_scored: bool

    def bootstraps(
        self, places: Sequence[tuple[int, int]], uncertainty: Uncertainty
    ) -> Iterator[tuple[Bootstrap, int]]:
        """Yield each pair's bootstrap, and its place among those that were drawn together."""
        finest = RESOLUTION * len(places) / (1 - uncertainty.confidence)
        draws = max(uncertainty.draws, min(int(finest), MOST_DRAWS))
        at_once = max(1, HELD // draws)
        for first in range(0, len(places), at_once):
            some = places[first : first + at_once]
            paired = np.stack([self.errors[:, a] - self.errors[:, b] for a, b in some], axis=1)
            boot = bootstrap(paired, self.values, draws, uncertainty.seed)
            yield from ((boot, index) for index in range(len(some)))


def _pairs(
    summed: _SummedErrors, places: Sequence[tuple[int, int]], uncertainty: Uncertainty
) -> list[ExperimentPair]:
    """Return the difference of each pair, with intervals corrected for their number.

    The corrected confidence of an interval is known when all p values are, so the samples are drawn
    twice and not kept.
    """
    confidence = uncertainty.confidence
    p_values = [
        boot.p_value(index, confidence) for boot, index in summed.bootstraps(places, uncertainty)
    ]
    pairs = []
    for (a, b), (boot, index), p, p_holm, level in zip(
        places,
        summed.bootstraps(places, uncertainty),
        p_values,
        holm(p_values),
        holm_confidence(p_values, confidence),
        strict=True,
    ):
        ends = boot.interval(index, level)  # of a higher confidence, it may have no ends
        better, needed = None, None
        if ends is not None and not summed.selected_on_scored:
            if boot.units >= FEWEST and p_holm is not None and p_holm < 1 - confidence:
                better = summed.names[a if boot.values[index] < 0 else b]
            else:
                needed = episodes_needed(boot, index, summed.episodes, level, uncertainty.power)
        pairs.append(
            ExperimentPair(
                experiments=(summed.names[a], summed.names[b]),
                difference=float(boot.values[index]),
                low=ends[0] if ends else None,
                high=ends[1] if ends else None,
                confidence=level,
                p=p if ends else None,
                p_holm=p_holm if ends else None,
                better=better,
                needed=needed,
            )
        )
    return pairs

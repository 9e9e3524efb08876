"""Experiments that may be compared, on the steps that all of them predict, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from mobile_vla.comparison.experiments import Kept, combined
from mobile_vla.comparison.run_scores import HELD, Stored
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.differences import Sums
from mobile_vla.statistics.intervals import (
    FEWEST,
    Bootstrap,
    bootstrap,
    described,
    holm,
    holm_confidence,
    needed,
)


def compared(
    experiments: Mapping[str, Sequence[Stored]], uncertainty: Uncertainty
) -> dict[str, Any]:
    """Return each experiment's error on the common steps, and the paired differences.

    Common are the steps of the same episode, frame and number of frames ahead, which every window
    and chunk of every experiment allows; a comparison over other steps compares those too.

    Args:
        experiments: the runs of each experiment, all of one population.
        uncertainty: how sure a claim must be.
    """
    runs = [run for own in experiments.values() for run in own]
    facts = runs[0].evaluation
    names = sorted({name for run in runs for name in np.unique(run.names).tolist()})
    places = {name: place for place, name in enumerate(names)}
    common, missing = _common(runs, places)
    found: dict[str, Any] = {
        "dataset": facts["dataset"],
        "manifest": facts["manifest"],
        "split": facts["split"],
        "scored_on": facts["scored_on"],
        "dimensions": facts["dimensions"],
        "episodes": 0,
        "steps": 0,
        "experiments": [{"experiment": name} for name in experiments],
        "pairs": [],
        "why_no_pairs": missing,
    }
    if missing is not None:
        return found
    sums: dict[str, Sums] = {}
    for name, own in experiments.items():
        kept: Kept = {
            index: np.isin(run.keys(places), common[run.fold]) for index, run in enumerate(own)
        }
        sums[name] = combined(own, kept)[0]
    first = next(iter(sums.values()))
    found["episodes"], found["steps"] = len(first.episodes), int(first.steps.sum())
    errors = np.stack([_by_episode(own, first.episodes) for own in sums.values()], axis=1)
    boot = bootstrap(errors, first.values, uncertainty.draws, uncertainty.seed)
    found["experiments"] = [
        {
            "experiment": name,
            "mae": described(boot, index, uncertainty.confidence),
            "baselines": _others(sums[name], experiments[name]),
            "steps_left_out": [len(run.names) - len(common[run.fold]) for run in own],
        }
        for index, (name, own) in enumerate(experiments.items())
    ]
    if len(experiments) == 1:
        found["why_no_pairs"] = "there is no other experiment on the same data"
        return found
    selected = any(run.evaluation["selected_on_scored"] for run in runs)
    found["pairs"] = _pairs(list(experiments), errors, first.values, selected, uncertainty)
    return found


def _common(
    runs: Sequence[Stored], places: Mapping[str, int]
) -> tuple[dict[int, np.ndarray], str | None]:
    """Return by fold the steps that all its runs have, or why there is nothing to compare."""
    found: dict[int, np.ndarray] = {}
    for fold in sorted({run.fold for run in runs}):
        keys = [run.keys(places) for run in runs if run.fold == fold]
        found[fold] = reduce(np.intersect1d, keys)
        if not len(found[fold]):
            return {}, (
                "their windows and chunks share no step: the same frame, predicted equally far "
                "ahead; choose chunks that overlap"
            )
    return found, None


def _by_episode(sums: Sums, episodes: Sequence[str]) -> np.ndarray:
    """Return the policy's summed error of each episode, in an order that is the same for all."""
    place = {name: index for index, name in enumerate(sums.episodes)}
    order = [place[name] for name in episodes]
    return np.asarray(sums.absolute[order, sums.names.index(HELD)])


def _others(sums: Sums, runs: Sequence[Stored]) -> dict[str, float]:
    mae = sums.absolute.sum(axis=0) / sums.values.sum()
    named = dict(zip(sums.names, mae.tolist(), strict=True))
    return {name: named[name] for name in runs[0].evaluation["baselines"] if name in named}


def _pairs(
    names: Sequence[str],
    errors: np.ndarray,
    values: np.ndarray,
    selected: bool,
    uncertainty: Uncertainty,
) -> list[dict[str, Any]]:
    """Return the difference of each pair, with intervals corrected for their number."""
    places = list(itertools.combinations(range(len(names)), 2))
    apart = np.stack([errors[:, a] - errors[:, b] for a, b in places], axis=1)
    boot = bootstrap(apart, values, uncertainty.draws, uncertainty.seed)
    chances = [boot.chance(index) for index in range(len(places))]
    adjusted = holm(chances)
    levels = holm_confidence(chances, uncertainty.confidence)
    found = []
    for index, (a, b) in enumerate(places):
        low, high = boot.interval(index, levels[index])
        found.append(
            {
                "experiments": [names[a], names[b]],
                "difference": float(boot.values[index]),
                "low": low if np.isfinite(low) else None,
                "high": high if np.isfinite(high) else None,
                "confidence": levels[index],
                "p": chances[index],
                "p_holm": adjusted[index],
                **_outcome(boot, index, (names[a], names[b]), (low, high), selected, uncertainty),
            }
        )
    return found


def _outcome(
    boot: Bootstrap,
    index: int,
    names: tuple[str, str],
    interval: tuple[float, float],
    selected: bool,
    uncertainty: Uncertainty,
) -> dict[str, Any]:
    """Return what may be said of a pair."""
    low, high = interval
    one, other = names
    wanted: int | None = None
    if selected:
        better, text = None, "no verdict: the scored episodes chose the checkpoints"
    elif boot.episodes >= FEWEST and (high < 0 or low > 0):
        better, worse = (one, other) if high < 0 else (other, one)
        text = f"{better} has a lower error than {worse}"
    else:
        better = None
        text = (
            f"which of {one} and {other} has the lower error cannot be told from "
            f"{boot.episodes} episodes"
        )
        wanted = needed(boot, index, uncertainty.confidence, uncertainty.power)
        if wanted is not None:
            text += f"; a difference like this one would take about {wanted:,}"
    return {"better": better, "needed": wanted, "text": text}

"""Comparisons with the verdicts and pairs that a test asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mobile_vla.comparison.driving import RunDrives, driven_group
from mobile_vla.comparison.letters import compact_letters
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.sentence import verbatim

BASELINE = 0.2  # mean absolute error of the best baseline


def judged(name: str, outcome: str, interval: bool = True, **changed: Any) -> dict[str, Any]:
    """Return an experiment's scores as JSON, by default with an error of 0.15."""
    worse = outcome == "does_not_beat"
    gap = {"value": -0.05, "low": -0.07, "high": -0.03, "p": 0.01, "p_holm": 0.02, "needed": None}
    if worse:
        gap |= {"value": 0.05, "low": 0.03, "high": 0.07}
    if not interval:
        gap |= dict.fromkeys(("low", "high", "p", "p_holm"))
    mae = {"value": 0.15, "low": 0.13, "high": 0.17, "confidence": 0.95, "method": "percentile"}
    return {
        "experiment": name,
        "dataset": "demo",
        "scored_on": "val" if outcome == "no_verdict" else "test",
        "seeds": 1,
        "folds": 1,
        "episodes": 12,
        "groups": changed.get("episodes", 12),
        "steps": 840,
        "mae": {**mae, "groups": 12},
        "baselines": {"replay": BASELINE},
        "controls": {},
        "best_baseline": {"name": "replay", "mae": BASELINE},
        "skill": 0.25,
        "differences": {"replay": gap},
        "verdict": {
            "outcome": outcome,
            "against": "replay",
            "episodes": 12,
            "groups": 12,
            "needed": None,
            "image": "used",
            "prompt": "used",
        },
        "measures": [],
        "runs": [],
        **changed,
    }


def compared(
    *experiments: dict[str, Any],
    ahead: Collection[tuple[str, str]] = (),
    needed: int | None = None,
    why: str | None = None,
) -> ComparisonResult:
    """Return the comparison of experiments, all on the same data, in the order of their errors.

    Args:
        experiments: as :func:`judged` returns them.
        ahead: pairs of names, of which the first is ahead of the second; the others are tied.
        needed: episodes that would separate each tied pair.
        why: why there are no pairs, if there are none.
    """
    names = [own["experiment"] for own in experiments]
    pairs = [] if why or len(names) < 2 else list(combinations(names, 2))
    letters = compact_letters(names, set(ahead)) if pairs else {}
    won = {frozenset(pair): pair[0] for pair in ahead}
    first = experiments[0]
    return ComparisonResult.model_validate(
        {
            "confidence": 0.95,
            "experiments": list(experiments),
            "groups": [
                {
                    "dataset": first["dataset"],
                    "scored_on": first["scored_on"],
                    "dimensions": ["linear_x"],
                    "episodes": first["episodes"],
                    "steps": 840,
                    "experiments": [
                        {
                            "experiment": own["experiment"],
                            "mae": None if why else own["mae"],
                            "steps_left_out": [0],
                            "letters": letters.get(own["experiment"], []),
                        }
                        for own in experiments
                    ],
                    "pairs": [
                        {
                            "experiments": pair,
                            "difference": -0.01,
                            "low": -0.02,
                            "high": -0.005 if frozenset(pair) in won else 0.01,
                            "confidence": 0.95,
                            "p": 1.0,
                            "p_holm": 1.0,
                            "better": won.get(frozenset(pair)),
                            "needed": None if frozenset(pair) in won else needed,
                        }
                        for pair in pairs
                    ],
                    "why_no_pairs": None if pairs else verbatim(why or "alone").model_dump(),
                }
            ],
            "not_compared": [],
        }
    )


def with_drives(
    result: ComparisonResult, success: Mapping[str, Sequence[float]]
) -> ComparisonResult:
    """Return a comparison with the share of successes of each run of its driven experiments.

    Of 20 scenes, each driven on both sides, the first ones succeed.
    """
    scores = {own.experiment: own for own in result.experiments}
    uncertainty = Uncertainty(draws=1000)
    scenes = tuple((scene, side) for scene in range(20) for side in ("left", "right"))
    drives = {
        name: [
            RunDrives(scenes, np.arange(len(scenes)) < round(rate * len(scenes))) for rate in rates
        ]
        for name, rates in success.items()
    }
    driven = [driven_group(group, scores, drives, uncertainty) for group in result.groups]
    groups = [
        group.model_copy(update={"driven": own})
        for group, own in zip(result.groups, driven, strict=True)
    ]
    return result.model_copy(update={"groups": groups})

"""One run's scores: the content of ``evaluation.json``, computed from its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import UserError
from mobile_vla.evaluation.differences import Sums, differences
from mobile_vla.evaluation.metrics import errors, huber
from mobile_vla.evaluation.motions import classes_of, direction, motion, signs_of
from mobile_vla.evaluation.predictors import Competitors
from mobile_vla.evaluation.slices import by_frame, by_keys, by_step, choices_of, chosen
from mobile_vla.evaluation.steps import Scored
from mobile_vla.evaluation.tolerance import match_rates
from mobile_vla.evaluation.trajectories import (
    displacement,
    displacements,
    roughness,
    saturation,
    stitch,
)
from mobile_vla.evaluation.verdict import Use, use_of, verdict
from mobile_vla.statistics.intervals import bootstrap, described

UNIT = "raw command units"
Flat = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rules:
    """How predictions become scores.

    Args:
        evaluation: the experiment's settings.
        uncertainty: those of intervals and verdicts.
        scale: the action scale.
        fixed: dimensions that were not learnt, because they never vary in training.
        huber_delta: where training's loss turns from square to linear, in normalised units.
        cell: the keys of the scenario that the split is stratified by.
    """

    evaluation: Evaluation
    uncertainty: Uncertainty
    scale: float
    fixed: tuple[str, ...]
    huber_delta: float
    cell: tuple[str, ...]


def score(
    facts: Mapping[str, Any],
    scored: Scored,
    prediction: np.ndarray,
    others: Competitors,
    rules: Rules,
) -> dict[str, Any]:
    """Return the content of ``evaluation.json``; docs/architecture.md describes it.

    Args:
        facts: what was scored: names of experiment, run and dataset, digests, and ``scored_on``. On
            ``val`` the checkpoint was selected on the very episodes that are scored: the result
            says so, and holds no verdict.
        scored: the N scored windows.
        prediction: (N, C, A) the policy's, in raw command units.
        others: what it is compared with.
        rules: settings, and what predictions are to be read by.

    Raises:
        UserError: there is nothing to score, or the policy predicts values that are not finite.
    """
    _check(facts, scored, prediction)
    steps, dimensions = scored.steps, scored.dimensions
    flat: Flat = {"policy": scored.flat(prediction)}
    flat |= {name: scored.flat(values) for name, values in others.baselines.items()}
    controls = {name: scored.flat(values) for name, values in others.controls.items()}
    own, *rest = (errors(values, steps.truth, dimensions) for values in flat.values())
    baselines = dict(zip(others.baselines, rest, strict=True))
    mae = {name: _value(found["mae"]["overall"]) for name, found in baselines.items()}
    best = min(mae, key=lambda name: mae[name])
    learnt = [index for index, name in enumerate(dimensions) if name not in rules.fixed]
    return {
        **facts,
        "selected_on_scored": facts["scored_on"] == "val",
        "unit": UNIT,
        "action_scale": rules.scale,
        "dimensions": list(dimensions),
        "episodes": len(np.unique(steps.episode)),
        "windows": len(np.unique(steps.window)),
        "steps": len(steps),
        "policy": own,
        "baselines": baselines,
        "controls": {
            name: errors(values, steps.truth, dimensions) for name, values in controls.items()
        },
        "absent": others.absent,
        "fitted": others.fitted,
        "best_baseline": {"name": best, "mae": mae[best]},
        "skill": 1 - _value(own["mae"]["overall"]) / mae[best] if mae[best] > 0 else None,
        "loss": {
            "huber_normalised": huber(
                flat["policy"], steps.truth, rules.scale, rules.huber_delta, learnt
            ),
            "delta": rules.huber_delta,
            "dimensions": [dimensions[index] for index in learnt],
        },
        **_uncertain(facts, scored, flat, controls, best, rules),
        **_parts(scored, flat, rules),
        **_motions(scored, flat, rules),
    }


def _check(facts: Mapping[str, Any], scored: Scored, prediction: np.ndarray) -> None:
    place = f"experiments/{facts['experiment']}/{facts['run']}"
    mask = scored.mask
    if not mask.any():
        raise UserError(
            f"{place}: no window of the {facts['scored_on']} episodes of {facts['dataset']} can be "
            "scored; expected at least one; give the split more episodes, or choose a shorter "
            "window and chunk"
        )
    broken = int((~np.isfinite(prediction[mask])).any(axis=-1).sum())
    if broken:
        raise UserError(
            f"{place}: {broken} of {int(mask.sum())} predicted steps are not finite; expected "
            "numbers; train again with `precision: fp32` or a lower `learning_rate`"
        )


def _uncertain(
    facts: Mapping[str, Any], scored: Scored, flat: Flat, controls: Flat, best: str, rules: Rules
) -> dict[str, Any]:
    """Return averages with intervals, paired differences, the verdict, and each episode's error."""
    steps, wanted = scored.steps, rules.uncertainty
    every = {**flat, **controls}
    sums = Sums.of(steps, every, scored.episodes)
    means = sums.mae()
    boot = bootstrap(sums.absolute, sums.values, wanted.draws, wanted.seed)
    to = differences(sums, "policy", [name for name in flat if name != "policy"], wanted)
    under = differences(sums, "policy", list(controls), wanted)
    uses: dict[str, Use] = {
        name: use_of(
            float(np.abs(flat["policy"] - controls[name]).mean()),
            under[name],
            rules.scale,
            len(sums.episodes),
        )
        if name in controls
        else "not tested"
        for name in ("no_image", "shuffled_prompt")
    }
    found = verdict(
        to,
        best,
        len(sums.episodes),
        wanted.confidence,
        selected_on_scored=facts["scored_on"] == "val",
        image=uses["no_image"],
        prompt=uses["shuffled_prompt"],
    )
    ways = stitch(scored).episodes()
    moved = displacement(ways, flat["policy"], steps.truth, scored.dimensions)
    return {
        "mae": {
            name: {
                "pooled": described(boot, index, wanted.confidence),
                "per_episode": float(means[:, index].mean()),
            }
            for index, name in enumerate(every)
        },
        "differences": {name: asdict(own) for name, own in {**to, **under}.items()},
        "verdict": found.as_json(),
        "displacement": {
            "unit": "command steps",
            "average": "per episode",
            "episodes": len(sums.episodes),
            **displacements(ways, flat, steps.truth, scored.dimensions),
        },
        "per_episode": [
            {
                "episode": name,
                "windows": int(sums.windows[index]),
                "steps": int(sums.steps[index]),
                "mae": float(means[index, 0]),
                "best_baseline_mae": float(means[index, list(every).index(best)]),
                "ade": float(moved[index, 0]),
                "fde": float(moved[index, 1]),
            }
            for index, name in enumerate(sums.episodes)
        ],
    }


def _parts(scored: Scored, flat: Flat, rules: Rules) -> dict[str, Any]:
    """Return the errors of parts of the steps."""
    signs = signs_of(scored.steps.truth, scored.dimensions, rules.evaluation.dead_band)
    classes = classes_of(signs, scored.dimensions)
    keys = sorted({key for scenario in scored.scenarios for key in scenario})
    varying = [key for key in keys if len({scenario.get(key) for scenario in scored.scenarios}) > 1]
    stitched = stitch(scored)
    choices = choices_of(scored.steps, classes, stitched)
    return {
        "parts": chosen(scored, flat, choices),
        "segments": {
            kind: _segments(stitched.segments(choices[kind]), scored, flat)
            for kind in ("turns", "stops")
        },
        "by_step": by_step(scored, flat),
        "by_frame": by_frame(scored, flat),
        "by_cell": by_keys(scored, flat, rules.cell),
        "by_scenario": [part for key in varying for part in by_keys(scored, flat, [key])],
    }


def _segments(ways: list[np.ndarray], scored: Scored, flat: Flat) -> dict[str, Any] | None:
    """Return the displacement within critical segments, averaged per segment; null without one."""
    if not ways:
        return None
    steps = scored.steps
    return {
        "unit": "command steps",
        "average": "per segment",
        "segments": len(ways),
        "episodes": len({int(steps.episode[own[0]]) for own in ways}),
        "displacement": displacements(ways, flat, steps.truth, scored.dimensions),
    }


def _motions(scored: Scored, flat: Flat, rules: Rules) -> dict[str, Any]:
    """Return directions, motion classes, match rates, smoothness and saturation."""
    steps, dimensions, evaluation = scored.steps, scored.dimensions, rules.evaluation
    signs = {
        name: signs_of(values, dimensions, evaluation.dead_band)
        for name, values in {**flat, "truth": steps.truth}.items()
    }
    classes = {name: classes_of(values, dimensions) for name, values in signs.items()}
    stitched = stitch(scored)
    both = {"policy": flat["policy"], "truth": steps.truth}
    return {
        "dead_band": {name: getattr(evaluation.dead_band, name) for name in dimensions},
        "direction": direction(signs["policy"], signs["truth"], dimensions),
        "motion": motion(classes["policy"], classes["truth"]),
        "macro_f1": {name: motion(classes[name], classes["truth"])["macro_f1"] for name in flat},
        "tolerance": {
            "tolerances": list(evaluation.tolerances),
            "match": {
                name: match_rates(values, steps.truth, evaluation.tolerances)
                for name, values in flat.items()
            },
        },
        "smoothness": {
            name: roughness(stitched, values, dimensions) for name, values in both.items()
        },
        "saturation": {
            name: saturation(values, rules.scale, dimensions) for name, values in both.items()
        },
    }


def _value(value: float | None) -> float:
    assert value is not None  # a mean absolute error always exists
    return value

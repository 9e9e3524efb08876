"""A run's scores, computed from its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import UserError
from mobile_vla.evaluation.metrics import errors, huber, match_rates
from mobile_vla.evaluation.motions import agreement, classes_of, direction, motion, signs_of
from mobile_vla.evaluation.predictors import Predictions
from mobile_vla.evaluation.result import (
    POLICY,
    BestBaseline,
    Displacement,
    EpisodeError,
    EvaluationResult,
    Loss,
    PredictorMae,
    ScoredRun,
    Segments,
    Slice,
    ToleranceCurves,
)
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.slices import Flat, by_cell, by_frame, by_step, choices_of, of_choices
from mobile_vla.evaluation.trajectories import (
    displacement_errors,
    executed_steps,
    mean_displacements,
    saturation,
    smoothness,
)
from mobile_vla.evaluation.verdict import ErrorSums, conclude
from mobile_vla.result import FileDigest
from mobile_vla.statistics.intervals import bootstrap, mean_with_interval


@dataclass(frozen=True)
class ScoringRules:
    """How predictions become scores."""

    evaluation: Evaluation
    uncertainty: Uncertainty
    scale: float  # the command that becomes 1, in command units
    fixed: tuple[str, ...]  # dimensions that never vary in training, and are not learnt
    huber_delta: float  # where the loss turns from square to linear, in normalised units
    cell: tuple[str, ...]  # keys of the scenario that the split is stratified by
    units: tuple[float, ...]  # what one command unit of each dimension is, as recorded


def check_predictions(run: ScoredRun, windows: ScoredWindows, prediction: np.ndarray) -> None:
    """Check that there are steps to score, and that a policy's predictions of them are finite.

    Raises:
        UserError: they are not.
    """
    place = f"experiments/{run.experiment}/{run.run}"
    mask = windows.mask
    if not mask.any():
        raise UserError(
            f"{place}: no window of the {run.scored_on} episodes of {run.dataset} can be scored; "
            "expected at least one; give the split more episodes, or choose a shorter window and "
            "chunk"
        )
    broken = int((~np.isfinite(prediction[mask])).any(axis=-1).sum())
    if broken:
        raise UserError(
            f"{place}: {broken} of {int(mask.sum())} predicted steps are not finite; expected "
            "numbers; train again with `precision: fp32` or a lower `learning_rate`"
        )


def score(
    run: ScoredRun,
    windows: ScoredWindows,
    predictions: Predictions,
    rules: ScoringRules,
    predictions_file: FileDigest,
) -> EvaluationResult:
    """Score a run's predictions, and compare them with those of baselines and controls.

    On ``val`` the checkpoint was selected on the episodes that are scored: then there is no
    verdict. Predictions must have passed :func:`check_predictions`.
    """
    steps, dimensions, uncertainty = windows.steps, windows.dimensions, rules.uncertainty
    flat: Flat = {POLICY: windows.flat(predictions.policy)}
    flat |= {name: windows.flat(values) for name, values in predictions.baselines.items()}
    controls: Flat = {name: windows.flat(values) for name, values in predictions.controls.items()}
    errors_of = {
        name: errors(values, steps.truth, dimensions)
        for name, values in {**flat, **controls}.items()
    }
    policy = errors_of[POLICY]
    best_name = min(predictions.baselines, key=lambda name: errors_of[name].mae["overall"])
    best = BestBaseline(name=best_name, mae=errors_of[best_name].mae["overall"])
    selected_on_scored = run.scored_on == "val"
    sums = ErrorSums.of(windows, {**flat, **controls})
    conclusion = conclude(
        sums,
        list(predictions.baselines),
        best.name,
        {name: float(np.abs(flat[POLICY] - values).mean()) for name, values in controls.items()},
        rules.scale,
        uncertainty,
        selected_on_scored=selected_on_scored,
    )
    executed = executed_steps(windows)
    sections = executed.episodes()
    recorded = {name: values * np.array(rules.units) for name, values in flat.items()}
    driven = steps.truth * np.array(rules.units)
    displaced = partial(
        mean_displacements, predictions=recorded, truth=driven, dimensions=dimensions
    )
    signs = {
        name: signs_of(values, dimensions, rules.evaluation.dead_band)
        for name, values in {**flat, "truth": steps.truth}.items()
    }
    classes = {name: classes_of(values, dimensions) for name, values in signs.items()}
    motions = {name: motion(classes[name], classes["truth"]) for name in flat}
    choices = choices_of(steps, classes["truth"], executed)
    both = {POLICY: flat[POLICY], "truth": steps.truth}
    return EvaluationResult(
        **dict(run),
        selected_on_scored=selected_on_scored,
        unit="command units",
        recorded_units=dict(zip(dimensions, rules.units, strict=True)),
        action_scale=rules.scale,
        dimensions=dimensions,
        episodes=len(np.unique(steps.episode)),
        windows=len(np.unique(steps.window)),
        steps=len(steps),
        policy=policy,
        baselines={name: errors_of[name] for name in predictions.baselines},
        controls={name: errors_of[name] for name in controls},
        absent=predictions.absent,
        fitted=predictions.fitted,
        best_baseline=best,
        skill=1 - policy.mae["overall"] / best.mae if best.mae > 0 else None,
        loss=_loss(flat[POLICY], windows, rules),
        mae=_mean_errors(sums, uncertainty),
        differences=conclusion.differences,
        verdict=conclusion.verdict,
        displacement=displaced(sections),
        per_episode=_episode_errors(
            windows,
            displacement_errors(sections, recorded[POLICY], driven, dimensions),
            sums,
            best.name,
        ),
        parts=of_choices(windows, flat, choices),
        segments={
            kind: _segments(found, windows, displaced(found)) if found else None
            for kind in ("turns", "stops")
            for found in [executed.segments(choices[kind])]
        },
        by_step=by_step(windows, flat),
        by_frame=by_frame(windows, flat),
        by_cell=by_cell(windows, flat, rules.cell),
        by_scenario=_by_scenario(windows, flat),
        dead_band={name: getattr(rules.evaluation.dead_band, name) for name in dimensions},
        direction=direction(signs[POLICY], signs["truth"], dimensions),
        direction_agreement={name: agreement(signs[name], signs["truth"]) for name in flat},
        motion=motions[POLICY],
        macro_f1={name: confusion.macro_f1 for name, confusion in motions.items()},
        tolerance=ToleranceCurves(
            tolerances=list(rules.evaluation.tolerances),
            match={
                name: match_rates(values, steps.truth, rules.evaluation.tolerances)
                for name, values in flat.items()
            },
        ),
        smoothness={
            name: smoothness(executed, values, dimensions) for name, values in both.items()
        },
        saturation={
            name: saturation(values, rules.scale, dimensions) for name, values in both.items()
        },
        predictions_file=predictions_file,
    )


def _loss(prediction: np.ndarray, windows: ScoredWindows, rules: ScoringRules) -> Loss:
    """Return the training's loss over the dimensions that are learnt."""
    learnt = [i for i, name in enumerate(windows.dimensions) if name not in rules.fixed]
    return Loss(
        huber_normalised=huber(
            prediction, windows.steps.truth, rules.scale, rules.huber_delta, learnt
        ),
        delta=rules.huber_delta,
        dimensions=[windows.dimensions[index] for index in learnt],
    )


def _mean_errors(sums: ErrorSums, uncertainty: Uncertainty) -> dict[str, PredictorMae]:
    """Return each predictor's mean absolute error with its interval."""
    units = sums.by_group()
    boot = bootstrap(units.absolute, units.values, uncertainty.draws, uncertainty.seed)
    means = sums.mae()
    return {
        name: PredictorMae(
            pooled=mean_with_interval(boot, index, uncertainty.confidence),
            per_episode=float(means[:, index].mean()),
        )
        for index, name in enumerate(sums.names)
    }


def _episode_errors(
    windows: ScoredWindows, displaced: np.ndarray, sums: ErrorSums, best: str
) -> list[EpisodeError]:
    """Return the policy's errors in each episode that has a step; ``displaced`` are (E, 2)."""
    steps, means = windows.steps, sums.mae()
    _, first = np.unique(steps.window, return_index=True)
    _, number = np.unique(steps.episode[first], return_counts=True)
    return [
        EpisodeError(
            episode=name,
            group=sums.groups[index],
            windows=int(number[index]),
            steps=int(sums.steps[index]),
            mae=float(means[index, sums.names.index(POLICY)]),
            best_baseline_mae=float(means[index, sums.names.index(best)]),
            ade=float(displaced[index, 0]),
            fde=float(displaced[index, 1]),
        )
        for index, name in enumerate(sums.episodes)
    ]


def _segments(
    sections: list[np.ndarray], windows: ScoredWindows, displaced: dict[str, Displacement]
) -> Segments:
    """Return the displacement within critical segments, of which there is one at least."""
    steps = windows.steps
    return Segments(
        segments=len(sections),
        episodes=len({int(steps.episode[section[0]]) for section in sections}),
        displacement=displaced,
    )


def _by_scenario(windows: ScoredWindows, flat: Flat) -> list[Slice]:
    """Return the errors by each key of the scenario that varies."""
    scenarios = windows.scenarios
    keys = sorted({key for scenario in scenarios for key in scenario})
    varying = [key for key in keys if len({scenario.get(key) for scenario in scenarios}) > 1]
    return [part for key in varying for part in by_cell(windows, flat, [key])]

"""An experiment as a whole: its seeds averaged, its folds put together, and its verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.comparison.result import ExperimentScores, RunScore
from mobile_vla.comparison.run_scores import RunScores
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.result import POLICY, BestBaseline
from mobile_vla.evaluation.verdict import ErrorSums, conclude
from mobile_vla.statistics.intervals import bootstrap, mean_with_interval

Kept = dict[int, np.ndarray]
"""By place of the run, (S,) bool: which of its steps count."""


def experiment_scores(
    name: str, runs: Sequence[RunScores], uncertainty: Uncertainty
) -> ExperimentScores:
    """Return an experiment's errors, its differences to each baseline, and the verdict.

    Args:
        name: the experiment's.
        runs: its runs, all scored on the same data.
        uncertainty: settings of intervals and verdicts.
    """
    sums, changes = combined(runs)
    first = runs[0].evaluation
    baselines = [other for other in first.baselines if other in sums.names]
    controls = [other for other in sums.names if other not in (POLICY, *baselines)]
    boot = bootstrap(sums.absolute, sums.values, uncertainty.draws, uncertainty.seed)
    mae = dict(zip(sums.names, boot.values.tolist(), strict=True))
    best = min(baselines, key=lambda other: mae[other])
    conclusion = conclude(
        sums,
        baselines,
        best,
        {
            control: float(changes[:, sums.names.index(control)].sum() / sums.values.sum())
            for control in controls
        },
        first.action_scale,
        uncertainty,
        selected_on_scored=any(run.evaluation.selected_on_scored for run in runs),
    )
    return ExperimentScores(
        experiment=name,
        dataset=first.dataset,
        scored_on=first.scored_on,
        seeds=len({run.evaluation.seed for run in runs}),
        folds=len({run.fold for run in runs}),
        episodes=len(sums.episodes),
        steps=int(sums.steps.sum()),
        mae=mean_with_interval(boot, sums.names.index(POLICY), uncertainty.confidence),
        baselines={other: mae[other] for other in baselines},
        controls={control: mae[control] for control in controls},
        best_baseline=BestBaseline(name=best, mae=mae[best]),
        skill=1 - mae[POLICY] / mae[best] if mae[best] > 0 else None,
        differences=conclusion.differences,
        verdict=conclusion.verdict,
        runs=[
            RunScore(
                run=run.evaluation.run,
                seed=run.evaluation.seed,
                fold=run.fold,
                held_out=run.evaluation.held_out,
                mae=run.evaluation.policy_mae,
                skill=run.evaluation.skill,
            )
            for run in runs
        ],
    )


def combined(runs: Sequence[RunScores], kept: Kept | None = None) -> tuple[ErrorSums, np.ndarray]:
    """Average the seeds of each fold, and put the folds' episodes behind each other.

    The bootstrap draws an episode with all its seeds: a further seed is no further episode.

    Args:
        runs: an experiment's runs.
        kept: which steps count; None: all.

    Returns:
        Sums of the predictors that all runs have, and (n, K) sums of their distances to the policy.
    """
    names = tuple(
        name for name in runs[0].predictors if all(name in run.predictors for run in runs)
    )
    episodes: list[str] = []
    counts, all_errors, all_changes = [], [], []
    for fold in sorted({run.fold for run in runs}):
        errors, changes = [], []
        for index, run in enumerate(runs):
            if run.fold != fold:
                continue
            counted = None if kept is None else kept[index]
            step_names = run.names if counted is None else run.names[counted]
            listed, first, steps = np.unique(step_names, return_index=True, return_counts=True)
            order = np.argsort(first)  # as they are scored
            listed, steps = listed[order].tolist(), steps[order]
            error, change = run.absolute(listed, counted)
            columns = [run.predictors.index(name) for name in names]
            errors.append(error[:, columns])
            changes.append(change[:, columns])
        episodes += listed
        counts.append(steps)
        all_errors.append(np.mean(errors, axis=0))
        all_changes.append(np.mean(changes, axis=0))
    steps = np.concatenate(counts)
    sums = ErrorSums(
        names,
        tuple(episodes),
        np.concatenate(all_errors),
        steps * len(runs[0].evaluation.dimensions),
        steps,
    )
    return sums, np.concatenate(all_changes)

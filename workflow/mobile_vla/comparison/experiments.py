"""An experiment as a whole: its seeds averaged, its folds put together, and its verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.comparison.measures import measures
from mobile_vla.comparison.result import ExperimentScores, RunScore
from mobile_vla.comparison.run_scores import RunScores
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.result import POLICY, BestBaseline
from mobile_vla.evaluation.verdict import ErrorSums, conclude
from mobile_vla.statistics.intervals import bootstrap, mean_with_interval


def experiment_scores(runs: Sequence[RunScores], uncertainty: Uncertainty) -> ExperimentScores:
    """Return an experiment's errors, differences to each baseline, and verdict, of all its runs."""
    sums, changes = combined(runs, [np.ones(len(run.names), dtype=bool) for run in runs])
    first = runs[0].evaluation
    baselines = [name for name in first.baselines if name in sums.names]
    controls = [name for name in sums.names if name not in (POLICY, *baselines)]
    units = sums.by_group()
    boot = bootstrap(units.absolute, units.values, uncertainty.draws, uncertainty.seed)
    mae = dict(zip(sums.names, boot.values.tolist(), strict=True))
    best = min(baselines, key=lambda name: mae[name])
    total = sums.values.sum()
    conclusion = conclude(
        sums,
        baselines,
        best,
        {name: float(changes[:, sums.names.index(name)].sum() / total) for name in controls},
        first.action_scale,
        uncertainty,
        selected_on_scored=any(run.evaluation.selected_on_scored for run in runs),
    )
    return ExperimentScores(
        experiment=first.experiment,
        dataset=first.dataset,
        scored_on=first.scored_on,
        seeds=len({run.evaluation.seed for run in runs}),
        folds=len({run.fold for run in runs}),
        episodes=len(sums.episodes),
        groups=len(units.groups),
        steps=int(sums.steps.sum()),
        mae=mean_with_interval(boot, sums.names.index(POLICY), uncertainty.confidence),
        baselines={name: mae[name] for name in baselines},
        controls={name: mae[name] for name in controls},
        best_baseline=BestBaseline(name=best, mae=mae[best]),
        skill=1 - mae[POLICY] / mae[best] if mae[best] > 0 else None,
        differences=conclusion.differences,
        verdict=conclusion.verdict,
        measures=measures([run.evaluation for run in runs], baselines),
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


def combined(runs: Sequence[RunScores], kept: Sequence[np.ndarray]) -> tuple[ErrorSums, np.ndarray]:
    """Average the seeds of each fold, and put the folds' episodes behind each other.

    The bootstrap draws a group of episodes with all seeds: a further seed is no further episode.

    Args:
        kept: for each run (S,) bool, which of its steps count.

    Returns:
        Sums of the predictors that all runs have, and (n, K) sums of their distances to the policy.
    """
    names = [name for name in runs[0].predictors if all(name in run.predictors for run in runs)]
    episodes: list[str] = []
    counts, all_errors, all_changes = [], [], []
    for fold in sorted({run.fold for run in runs}):
        sums = []
        for run, counted in zip(runs, kept, strict=True):
            if run.fold != fold:
                continue
            listed, first, steps = np.unique(
                run.names[counted], return_index=True, return_counts=True
            )
            order = np.argsort(first)  # as they are scored
            in_order = listed[order].tolist()
            sums.append(run.absolute(in_order, names, counted))
        episodes += in_order
        counts.append(steps[order])
        errors, changes = np.mean(sums, axis=0)  # (2, n, K)
        all_errors.append(errors)
        all_changes.append(changes)
    steps, errors = np.concatenate(counts), np.concatenate(all_errors)
    values = steps * len(runs[0].evaluation.dimensions)
    group_of = {one.episode: one.group for run in runs for one in run.evaluation.per_episode}
    groups = tuple(group_of[name] for name in episodes)
    sums_of = ErrorSums(tuple(names), tuple(episodes), groups, errors, values, steps)
    return sums_of, np.concatenate(all_changes)

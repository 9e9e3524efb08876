"""An experiment as a whole: its seeds averaged, its folds put together, and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mobile_vla.comparison.run_scores import HELD, Stored
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.evaluation.differences import Sums, differences
from mobile_vla.evaluation.verdict import Use, use_of, verdict
from mobile_vla.statistics.intervals import bootstrap, described

Kept = dict[int, np.ndarray]
"""By place of the run, (S,) bool: which of its steps count."""


def judged(name: str, runs: Sequence[Stored], uncertainty: Uncertainty) -> dict[str, Any]:
    """Return an experiment's errors, its differences to each baseline, and the verdict.

    Args:
        name: the experiment's.
        runs: its runs, of one population.
        uncertainty: how sure a claim must be.
    """
    sums, changes = combined(runs)
    baselines = [other for other in runs[0].evaluation["baselines"] if other in sums.names]
    controls = [other for other in sums.names if other not in (HELD, *baselines)]
    boot = bootstrap(sums.absolute, sums.values, uncertainty.draws, uncertainty.seed)
    mae = dict(zip(sums.names, boot.values.tolist(), strict=True))
    best = min(baselines, key=lambda other: mae[other])
    to = differences(sums, HELD, baselines, uncertainty)
    under = differences(sums, HELD, controls, uncertainty)
    scale, count = runs[0].evaluation["action_scale"], len(sums.episodes)
    uses: dict[str, Use] = {
        control: use_of(
            float(changes[:, sums.names.index(control)].sum() / sums.values.sum()),
            under[control],
            scale,
            count,
        )
        if control in under
        else "not tested"
        for control in ("no_image", "shuffled_prompt")
    }
    found = verdict(
        to,
        best,
        count,
        uncertainty.confidence,
        selected_on_scored=any(run.evaluation["selected_on_scored"] for run in runs),
        image=uses["no_image"],
        prompt=uses["shuffled_prompt"],
    )
    return {
        "experiment": name,
        "dataset": runs[0].evaluation["dataset"],
        "scored_on": runs[0].evaluation["scored_on"],
        "seeds": len({run.evaluation["seed"] for run in runs}),
        "folds": len({run.fold for run in runs}),
        "episodes": count,
        "steps": int(sums.steps.sum()),
        "mae": described(boot, sums.names.index(HELD), uncertainty.confidence),
        "baselines": {other: mae[other] for other in baselines},
        "controls": {control: mae[control] for control in controls},
        "best_baseline": {"name": best, "mae": mae[best]},
        "skill": 1 - mae[HELD] / mae[best] if mae[best] > 0 else None,
        "differences": {other: asdict(own) for other, own in {**to, **under}.items()},
        "verdict": found.as_json(),
        "runs": [
            {
                "run": run.evaluation["run"],
                "seed": run.evaluation["seed"],
                "fold": run.fold,
                "held_out": run.evaluation["held_out"],
                "episodes": run.evaluation["episodes"],
                "steps": run.evaluation["steps"],
                "mae": run.evaluation["policy"]["mae"]["overall"],
                "skill": run.evaluation["skill"],
                "verdict": run.evaluation["verdict"],
            }
            for run in runs
        ],
    }


def combined(runs: Sequence[Stored], kept: Kept | None = None) -> tuple[Sums, np.ndarray]:
    """Average the seeds of each fold, and put the folds' episodes one after another.

    What is drawn anew in the bootstrap is an episode with all its seeds: seeds are no further
    sample of the world.

    Args:
        runs: an experiment's runs.
        kept: which steps count; None: all.

    Returns:
        Sums of the predictors that all runs have, and (n, K) sums of how far the policy is from
        each of them.
    """
    names = tuple(
        name for name in runs[0].predictors if all(name in run.predictors for run in runs)
    )
    parts: list[tuple[list[str], np.ndarray, np.ndarray, np.ndarray]] = []
    for fold in sorted({run.fold for run in runs}):
        errors, changes = [], []
        for index, run in enumerate(runs):
            if run.fold != fold:
                continue
            own = None if kept is None else kept[index]
            there = run.names if own is None else run.names[own]
            episodes, first, steps = np.unique(there, return_index=True, return_counts=True)
            order = np.argsort(first)  # as they are scored
            listed, steps = episodes[order].tolist(), steps[order]
            error, change = run.absolute(listed, own)
            columns = [run.predictors.index(name) for name in names]
            errors.append(error[:, columns])
            changes.append(change[:, columns])
        parts.append((listed, steps, np.mean(errors, axis=0), np.mean(changes, axis=0)))
    steps = np.concatenate([part[1] for part in parts])
    width = len(runs[0].evaluation["dimensions"])
    return (
        Sums(
            names,
            tuple(name for part in parts for name in part[0]),
            np.concatenate([part[2] for part in parts]),
            steps * width,
            steps,
            np.zeros_like(steps),
        ),
        np.concatenate([part[3] for part in parts]),
    )

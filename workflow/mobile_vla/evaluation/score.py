"""One run's scores: its errors beside the baselines', on the same steps of the same windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from mobile_vla.errors import UserError
from mobile_vla.evaluation.metrics import errors

UNIT = "raw command units"


def score(
    *,
    experiment: str,
    run: str,
    dataset: str,
    backbone: str,
    manifest: str,
    split: str,
    fold: int,
    folds: int,
    held_out: str | None,
    trained_on: Mapping[str, Any],
    scored_on: Literal["test", "val"],
    dimensions: Sequence[str],
    episodes: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray,
    baselines: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Return the content of ``evaluation.json``.

    Args:
        experiment: name of the experiment.
        run: name of its run, such as ``seed0``.
        dataset: name of the scored dataset.
        backbone: name of the backbone.
        manifest: digest of its manifest.
        split: digest of its split.
        fold: which fold's episodes are scored, from 0.
        folds: how many folds the split has.
        held_out: the value of the scenario that only the fold's test episodes have, or None.
        trained_on: dataset, manifest, split, fold and subset of the policy's training.
        scored_on: the role of the scored episodes. On ``val`` the checkpoint was selected on the
            very episodes that are scored: the result says so and holds no verdict.
        dimensions: names of the A predicted dimensions.
        episodes: (N,) names, the episode of each window.
        prediction: (N, C, A) the policy's, in raw command units.
        truth: (N, C, A) in raw command units.
        mask: (N, C) bool, true where the step exists.
        baselines: by name, (N, C, A) in raw command units.

    Raises:
        UserError: there is nothing to score, or the policy predicts values that are not finite.
    """
    place = f"experiments/{experiment}/{run}"
    if not mask.any():
        raise UserError(
            f"{place}: no window of the {scored_on} episodes of {dataset} can be scored; expected "
            "at least one; give the split more episodes, or choose a shorter window and chunk"
        )
    broken = int((~np.isfinite(prediction[mask])).any(axis=-1).sum())
    if broken:
        raise UserError(
            f"{place}: {broken} of {int(mask.sum())} predicted steps are not finite; expected "
            "numbers; train again with `precision: fp32` or a lower `learning_rate`"
        )
    policy = errors(prediction, truth, mask, dimensions)
    others = {name: errors(value, truth, mask, dimensions) for name, value in baselines.items()}
    best = min(others, key=lambda name: others[name]["mae"]["overall"])
    best_mae, mae = others[best]["mae"]["overall"], policy["mae"]["overall"]
    selected_on_scored = scored_on == "val"
    each = _per_episode(episodes, prediction, truth, mask, dimensions)
    return {
        "experiment": experiment,
        "run": run,
        "dataset": dataset,
        "backbone": backbone,
        "manifest": manifest,
        "split": split,
        "fold": fold,
        "folds": folds,
        "held_out": held_out,
        "trained_on": dict(trained_on),
        "scored_on": scored_on,
        "selected_on_scored": selected_on_scored,
        "unit": UNIT,
        "dimensions": list(dimensions),
        "episodes": len(each),
        "windows": int(mask.any(axis=1).sum()),
        "steps": int(mask.sum()),
        "policy": policy,
        "baselines": others,
        "best_baseline": {"name": best, "mae": best_mae},
        "skill": 1 - mae / best_mae if best_mae > 0 else None,
        "beats_best_baseline": None if selected_on_scored else mae < best_mae,
        "per_episode": each,
    }


def _per_episode(
    episodes: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray,
    dimensions: Sequence[str],
) -> list[dict[str, Any]]:
    """Return each episode's windows and MAE, in the order in which the episodes first appear."""
    found = []
    for episode in dict.fromkeys(episodes.tolist()):
        rows = np.flatnonzero((episodes == episode) & mask.any(axis=1))
        if len(rows):
            own = errors(prediction[rows], truth[rows], mask[rows], dimensions)
            mae = own["mae"]["overall"]
            found.append({"episode": episode, "windows": len(rows), "mae": mae})
    return found

"""How well open-loop measures rank experiments, and checkpoints of a run, as driving does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mobile_vla.comparison.measures import HIGHER
from mobile_vla.comparison.result import (
    ComparableGroup,
    DrivenGroup,
    ExperimentScores,
    MeasureRanks,
    OpenLoopMeasure,
)
from mobile_vla.config.comparison import ComparedRun
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.errors import UserError
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.statistics.correlation import rank_correlation
from mobile_vla.training.result import Epoch, read_metrics

OF_EPOCHS: tuple[OpenLoopMeasure, ...] = ("val_loss", "val_mae", "val_objective")


def success_of(run: ComparedRun, results: Path) -> float | None:
    """Return the share of a run's rollouts that succeed; None where no world is known.

    Raises:
        UserError: the file is missing, or of another run.
    """
    path = run.rollouts(results)
    if path is None:
        return None
    found = RolloutResult.read(path)
    if (found.experiment, found.run) != (run.experiment, run.run):
        raise UserError(
            f"{path}: holds the rollouts of {found.experiment}/{found.run}, expected those of "
            f"{run.experiment}/{run.run}; remove it and run snakemake again"
        )
    return found.drivers["policy"].success.rate


def driven_group(
    group: ComparableGroup,
    scores: Mapping[str, ExperimentScores],
    success: Mapping[str, Sequence[float]],
    uncertainty: Uncertainty,
) -> DrivenGroup | None:
    """Return how the measures of a group's experiments rank these as driving does.

    Args:
        group: its errors are those of the steps that all predict, by which they are ranked.
        scores: by experiment.
        success: by experiment that was driven, the share of successes of each run.
    """
    names = [own.experiment for own in group.experiments if own.experiment in success]
    if not names:
        return None
    rates = {name: float(np.mean(success[name])) for name in names}
    errors = {own.experiment: own.mae.value for own in group.experiments if own.mae is not None}
    values: dict[OpenLoopMeasure, dict[str, float]] = {"mae": errors}
    for name in names:
        for own in scores[name].measures:
            values.setdefault(own.name, {})[name] = own.policy
    return DrivenGroup(
        success=rates,
        ranks=[
            _ranks(measure, [of[name] for name in names], list(rates.values()), uncertainty)
            for measure, of in values.items()
            if of.keys() >= rates.keys()
        ],
    )


def checkpoint_ranks(
    run: ComparedRun, results: Path, uncertainty: Uncertainty
) -> list[MeasureRanks]:
    """Return how validation ranks a run's checkpoints as its drives do; nothing without drives.

    Raises:
        UserError: ``metrics.csv`` is missing or damaged.
    """
    path = run.metrics(results)
    if path is None:
        return []
    epochs = [epoch for epoch in read_metrics(path) if epoch.val_success is not None]
    rates = [epoch.val_success for epoch in epochs if epoch.val_success is not None]
    values = {measure: [_value(epoch, measure) for epoch in epochs] for measure in OF_EPOCHS}
    found = []
    for measure, of_epochs in values.items():
        known = [value for value in of_epochs if value is not None]
        if epochs and len(known) == len(epochs):
            found.append(_ranks(measure, known, rates, uncertainty))
    return found


def _value(epoch: Epoch, measure: OpenLoopMeasure) -> float | None:
    if measure == "val_mae":
        return float(np.mean(list(epoch.val_mae.values())))
    return epoch.val_loss if measure == "val_loss" else epoch.val_objective


def _ranks(
    measure: OpenLoopMeasure,
    values: Sequence[float],
    rates: Sequence[float],
    uncertainty: Uncertainty,
) -> MeasureRanks:
    sign = 1 if measure in HIGHER else -1
    signed = [sign * value for value in values]
    return MeasureRanks(measure=measure, correlation=rank_correlation(signed, rates, uncertainty))

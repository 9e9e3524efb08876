"""How well open-loop measures rank experiments, and checkpoints of a run, as driving does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from mobile_vla.statistics.proportions import paired_mean
from mobile_vla.statistics.result import PairedMean
from mobile_vla.training.result import Epoch, read_metrics

OF_EPOCHS: tuple[OpenLoopMeasure, ...] = ("val_loss", "val_mae", "val_objective")


@dataclass(frozen=True, eq=False)
class RunDrives:
    """The policy's rollouts of a run."""

    scenes: tuple[tuple[int, str], ...]  # of each the number of its scene, and the side
    succeed: np.ndarray  # of each whether it succeeds

    @property
    def rate(self) -> float:
        """The share that succeeds."""
        return float(self.succeed.mean())


def run_drives(run: ComparedRun, results: Path) -> RunDrives | None:
    """Return a run's rollouts; None where no world is known.

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
    return RunDrives(
        tuple((own.scene, own.side) for own in found.each),
        np.array([own.policy == "success" for own in found.each]),
    )


def driven_group(
    group: ComparableGroup,
    scores: Mapping[str, ExperimentScores],
    drives: Mapping[str, Sequence[RunDrives]],
    uncertainty: Uncertainty,
) -> DrivenGroup | None:
    """Return who arrives how often, and how measures rank a group's experiments as driving does.

    Args:
        group: its errors are those of the steps that all predict, by which they are ranked.
        scores: by experiment.
        drives: by experiment that was driven, the rollouts of each run.
    """
    names = [own.experiment for own in group.experiments if own.experiment in drives]
    if not names:
        return None
    rates = {name: float(np.mean([own.rate for own in drives[name]])) for name in names}
    errors = {own.experiment: own.mae.value for own in group.experiments if own.mae is not None}
    values: dict[OpenLoopMeasure, dict[str, float]] = {"mae": errors}
    for name in names:
        for own in scores[name].measures:
            values.setdefault(own.name, {})[name] = own.policy
    lowest = min(names, key=lambda name: errors.get(name, scores[name].mae.value))
    return DrivenGroup(
        success=rates,
        lowest=lowest,
        against_lowest=_against(lowest, {name: drives[name] for name in names}, uncertainty),
        ranks=[
            _ranks(measure, [of[name] for name in names], list(rates.values()), uncertainty)
            for measure, of in values.items()
            if of.keys() >= rates.keys()
        ],
    )


def _against(
    lowest: str, drives: Mapping[str, Sequence[RunDrives]], uncertainty: Uncertainty
) -> dict[str, PairedMean]:
    """Return by how much experiments succeed more often than one that drove the same scenes."""
    scenes = drives[lowest][0].scenes
    succeed = {  # by experiment the mean over its runs, of each drive
        name: np.mean([run.succeed for run in runs], axis=0)
        for name, runs in drives.items()
        if all(run.scenes == scenes for run in runs)
    }
    if lowest not in succeed or len(succeed) == 1:
        return {}
    # As many differences are looked at for one that is clear of zero: Bonferroni's correction.
    level = 1 - (1 - uncertainty.confidence) / (len(succeed) - 1)
    corrected = uncertainty.model_copy(update={"confidence": level})
    numbers = [scene for scene, _ in scenes]
    return {
        name: paired_mean(own - succeed[lowest], corrected, numbers)
        for name, own in succeed.items()
        if name != lowest
    }


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

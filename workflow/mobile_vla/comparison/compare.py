"""Compare experiments with their baselines and with each other, on the same steps."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

from mobile_vla.comparison.driving import RunDrives, checkpoint_ranks, driven_group, run_drives
from mobile_vla.comparison.experiments import experiment_scores
from mobile_vla.comparison.pairs import compare_group
from mobile_vla.comparison.result import (
    ComparableGroup,
    ComparisonResult,
    ExperimentScores,
    NotCompared,
)
from mobile_vla.comparison.run_scores import RunScores
from mobile_vla.config.comparison import CompareSettings
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.layout import ComparisonFiles, EvaluationFiles
from mobile_vla.sentence import Sentence, say

log = logging.getLogger(__name__)

Experiments = dict[str, list[RunScores]]
Scores = dict[str, ExperimentScores]


def compare(settings: CompareSettings, results: Path, outputs: ComparisonFiles) -> None:
    """Compare experiments with their baselines and with each other.

    Raises:
        UserError: a file is missing or damaged, or runs of one experiment were scored on different
            data.
    """
    experiments: Experiments = {}
    for run in settings.runs:
        files = EvaluationFiles.below(results, experiment=run.experiment, run=run.run)
        read = RunScores.read(files, run.experiment, run.run)
        experiments.setdefault(run.experiment, []).append(read)
    for name, runs in experiments.items():
        first = runs[0].evaluation
        for other in (run.evaluation for run in runs[1:]):
            if (why := _why_not_comparable(first, other)) is not None:
                raise UserError(
                    f"experiment {name!r}: its runs {first.run} and {other.run} cannot be put "
                    f"together: {why}; run snakemake again, which makes the older anew"
                )
    groups = _groups(experiments)
    uncertainty = settings.uncertainty
    on_members = _on_members(settings, results, experiments)
    scores = {name: experiment_scores(runs, uncertainty) for name, runs in experiments.items()}
    result = ComparisonResult(
        confidence=uncertainty.confidence,
        experiments=_with_checkpoints(settings, results, scores),
        groups=_driven(settings, results, scores, groups),
        not_compared=_not_compared(groups, on_members),
        on_members=on_members,
    )
    result.write(outputs.comparison)
    for experiment in result.experiments:
        log.info("%s: %s", experiment.experiment, experiment.verdict.summary())


def _with_checkpoints(
    settings: CompareSettings, results: Path, scores: Scores
) -> list[ExperimentScores]:
    """Add to each run how its measures rank its checkpoints."""
    ranks = {
        (run.experiment, run.run): checkpoint_ranks(run, results, settings.uncertainty)
        for run in settings.runs
    }
    found = []
    for name, own in scores.items():
        runs = [run.model_copy(update={"checkpoints": ranks[name, run.run]}) for run in own.runs]
        found.append(own.model_copy(update={"runs": runs}))
    return found


def _driven(
    settings: CompareSettings, results: Path, scores: Scores, groups: Sequence[Experiments]
) -> list[ComparableGroup]:
    """Compare the experiments of each group, and how they rank by driving."""
    drives: dict[str, list[RunDrives]] = {}
    for run in settings.runs:
        if (own := run_drives(run, results)) is not None:
            drives.setdefault(run.experiment, []).append(own)
    found = []
    for group in groups:
        compared = compare_group(group, settings.uncertainty)
        driven = driven_group(compared, scores, drives, settings.uncertainty)
        found.append(compared.model_copy(update={"driven": driven}))
    return found


def _on_members(
    settings: CompareSettings, results: Path, experiments: Experiments
) -> list[ComparableGroup]:
    """Compare experiments on mixtures with those on one of their datasets, scored on that one."""
    scored: dict[str, Experiments] = {}
    for run in settings.runs:
        for dataset, files in run.on_members(results).items():
            scores = RunScores.read(files, run.experiment, run.run)
            scored.setdefault(dataset, {}).setdefault(run.experiment, []).append(scores)
    found = []
    for dataset, mixed in scored.items():
        alone = {
            name: runs
            for name, runs in experiments.items()
            if runs[0].evaluation.dataset == dataset
        }
        groups = _groups({**mixed, **alone})
        found += [
            compare_group(group, settings.uncertainty, mixed.keys())
            for group in groups
            if group.keys() & alone.keys() and group.keys() & mixed.keys()
        ]
    return found


def _why_not_comparable(first: EvaluationResult, second: EvaluationResult) -> Sentence | None:
    """Return why errors of two runs must not be compared; None where they may.

    They must be of the same data and dimensions; the steps are then made the same.
    """
    if first.dataset != second.dataset:
        return say(
            "they are scored on the datasets {one} and {other}",
            one=first.dataset,
            other=second.dataset,
        )
    if first.manifest != second.manifest:
        return say(
            "{dataset} had other episodes when they were scored (its manifests are {one} and "
            "{other})",
            dataset=first.dataset,
            one=first.manifest[:12],
            other=second.manifest[:12],
        )
    if first.split != second.split:
        return say("they are scored by different splits of {dataset}", dataset=first.dataset)
    if first.scored_on != second.scored_on:
        return say(
            "one is scored on {one} episodes and the other on {other} episodes",
            one=first.scored_on,
            other=second.scored_on,
        )
    if first.dimensions != second.dimensions:
        return say(
            "they predict different dimensions: {one} and {other}",
            one=first.dimensions,
            other=second.dimensions,
        )
    return None


def _groups(experiments: Experiments) -> list[Experiments]:
    """Return the experiments that may be compared with each other."""
    groups: list[Experiments] = []
    for name, runs in experiments.items():
        for group in groups:
            if _why_not_comparable(_first(group), runs[0].evaluation) is None:
                group[name] = runs
                break
        else:
            groups.append({name: runs})
    return groups


def _first(group: Experiments) -> EvaluationResult:
    return next(iter(group.values()))[0].evaluation


def _not_compared(
    groups: Sequence[Experiments], on_members: Sequence[ComparableGroup]
) -> list[NotCompared]:
    """Return which groups are not compared, and why: not even on a dataset of a mixture."""
    compared = [{member.experiment for member in group.experiments} for group in on_members]
    return [
        NotCompared(experiments=(list(one), list(other)), why=why)
        for one, other in itertools.combinations(groups, 2)
        if not any(names & one.keys() and names & other.keys() for names in compared)
        and (why := _why_not_comparable(_first(one), _first(other))) is not None
    ]

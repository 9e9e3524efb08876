"""Compare experiments with their baselines and with each other, on the same steps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobile_vla.comparison.experiments import judged
from mobile_vla.comparison.pairs import compared
from mobile_vla.comparison.run_scores import Stored
from mobile_vla.config.comparison import CompareSettings
from mobile_vla.errors import UserError
from mobile_vla.files import write_json
from mobile_vla.layout import ComparisonFiles, EvaluationFiles

log = logging.getLogger(__name__)

POPULATION = ("dataset", "manifest", "split", "scored_on", "dimensions")
"""What must be the same for errors to be compared; frames are then made the same."""
WHY = {
    "dataset": "they are scored on the datasets {} and {}",
    "manifest": "{} had other episodes when they were scored (its manifests are {} and {})",
    "split": "they are scored by different splits of {}",
    "scored_on": "one is scored on {} episodes and the other on {} episodes",
    "dimensions": "they predict different dimensions: {} and {}",
}

Experiments = dict[str, list[Stored]]


def compare(settings: CompareSettings, results: Path, outputs: ComparisonFiles) -> None:
    """Compare experiments with their baselines and with each other.

    Args:
        settings: the runs, and how sure a claim must be.
        results: the folder of all results.
        outputs: the file to write.

    Raises:
        UserError: a file is missing or damaged, or runs of one experiment were scored on different
            data.
    """
    experiments: Experiments = {}
    for own in settings.runs:
        files = EvaluationFiles.below(results, experiment=own.experiment, run=own.run)
        stored = Stored.read(files.evaluation, files.predictions, own.experiment, own.run)
        experiments.setdefault(own.experiment, []).append(stored)
    for name, runs in experiments.items():
        for other in runs[1:]:
            why = difference(runs[0], other)
            if why is not None:
                raise UserError(
                    f"experiment {name!r}: its runs {runs[0].evaluation['run']} and "
                    f"{other.evaluation['run']} cannot be put together: {why}; run snakemake "
                    "again, it makes the older one anew"
                )
    groups = _groups(experiments)
    found: dict[str, Any] = {
        "confidence": settings.uncertainty.confidence,
        "draws": settings.uncertainty.draws,
        "correction": "Holm",
        "experiments": [
            judged(name, runs, settings.uncertainty) for name, runs in experiments.items()
        ],
        "groups": [compared(group, settings.uncertainty) for group in groups],
        "not_compared": _refused(groups),
    }
    write_json(outputs.comparison, found)
    for experiment in found["experiments"]:
        log.info("%s: %s", experiment["experiment"], experiment["verdict"]["text"])


def difference(one: Stored, other: Stored) -> str | None:
    """Return why errors of two runs must not be compared; None where they may."""
    for key in POPULATION:
        values: tuple[Any, Any] = (one.evaluation[key], other.evaluation[key])
        if values[0] == values[1]:
            continue
        dataset = one.evaluation["dataset"]
        if key == "manifest":
            return WHY[key].format(dataset, values[0][:12], values[1][:12])
        if key == "split":
            return WHY[key].format(dataset)
        shown = [", ".join(value) if key == "dimensions" else str(value) for value in values]
        return WHY[key].format(shown[0], shown[1])
    return None


def _groups(experiments: Experiments) -> list[Experiments]:
    """Return the experiments that may be compared with each other."""
    groups: list[Experiments] = []
    for name, runs in experiments.items():
        for group in groups:
            first = next(iter(group.values()))[0]
            if difference(first, runs[0]) is None:
                group[name] = runs
                break
        else:
            groups.append({name: runs})
    return groups


def _refused(groups: Sequence[Experiments]) -> list[dict[str, Any]]:
    """Return which groups are not compared, and why."""
    found = []
    for index, group in enumerate(groups):
        for other in groups[index + 1 :]:
            why = difference(next(iter(group.values()))[0], next(iter(other.values()))[0])
            found.append({"experiments": [list(group), list(other)], "why": why})
    return found

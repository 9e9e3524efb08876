"""The lines of the tables of scores: verdicts, pairs, horizon steps, cells and parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.evaluation.result import Slice
from mobile_vla.reporting.load import Run

Line = dict[str, Any]

PAIR = (
    *("one", "other", "dataset", "scored_on", "episodes", "steps", "difference", "low", "high"),
    *("confidence", "p", "p_holm", "better", "episodes_needed"),
)


def verdict_lines(scores: ComparisonResult) -> Iterator[Line]:
    """Yield each experiment's error beside each baseline and control, with the interval."""
    for judged in scores.experiments:
        for name, difference in judged.differences.items():
            yield {
                "experiment": judged.experiment,
                "verdict": judged.verdict.outcome,
                "episodes": judged.episodes,
                "mae": judged.mae.value,
                "mae_low": judged.mae.low,
                "mae_high": judged.mae.high,
                "against": name,
                "kind": "baseline" if name in judged.baselines else "control",
                "its_mae": judged.baselines.get(name, judged.controls.get(name)),
                "difference": difference.value,
                "low": difference.low,
                "high": difference.high,
                "confidence": judged.mae.confidence,
                "p": difference.p,
                "p_holm": difference.p_holm,
            }


def best_baseline_lines(scores: ComparisonResult) -> list[Line]:
    """Return a line for each experiment: its error, and the difference to the best baseline."""
    best = {judged.experiment: judged.best_baseline.name for judged in scores.experiments}
    return [line for line in verdict_lines(scores) if best[line["experiment"]] == line["against"]]


def pair_lines(scores: ComparisonResult) -> Iterator[Line]:
    """Yield the difference of each pair of experiments on the same steps; columns :data:`PAIR`."""
    for group in scores.groups:
        for pair in group.pairs:
            values = (
                *pair.experiments,
                *(group.dataset, group.scored_on, group.episodes, group.steps),
                *(pair.difference, pair.low, pair.high, pair.confidence),
                *(pair.p, pair.p_holm, pair.better, pair.needed),
            )
            yield dict(zip(PAIR, values, strict=True))


def step_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """Yield the errors of each run at each step of its chunk."""
    for run in runs:
        for part in run.evaluation.by_step:
            yield _part(run, part, {"step": part.step})


def cell_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """Yield the errors of each run in each cell of its dataset."""
    for run in runs:
        for part in run.evaluation.by_cell:
            cell = ", ".join(f"{key} {value}" for key, value in (part.cell or {}).items())
            yield _part(run, part, {"cell": cell or "all"})


def part_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """Yield the errors of each run in the parts of the steps where it matters most.

    Displacements, in command steps, are there for turns and stops alone.
    """
    for run in runs:
        best = run.evaluation.best_baseline.name
        for name, part in run.evaluation.parts.items():
            if part is None:
                continue
            segments = run.evaluation.segments.get(name)
            displacement = {} if segments is None else segments.displacement
            yield {
                **_part(run, part, {"part": name}),
                "segments": None if segments is None else segments.segments,
                "ade": displacement["policy"].ade if displacement else None,
                "fde": displacement["policy"].fde if displacement else None,
                "best_baseline_ade": displacement[best].ade if displacement else None,
                "best_baseline_fde": displacement[best].fde if displacement else None,
            }


def _part(run: Run, part: Slice, label: Line) -> Line:
    best = run.evaluation.best_baseline.name
    return {
        "experiment": run.experiment,
        "run": run.run,
        **label,
        "episodes": part.episodes,
        "windows": part.windows,
        "steps": part.steps,
        "mae": part.policy.mae["overall"],
        "rmse": part.policy.rmse["overall"],
        "best_baseline": best,
        "best_baseline_mae": part.mae[best],
    }

"""Other measures than the mean absolute error, each beside the baseline that is best by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobile_vla.comparison.result import Measure, MeasureName
from mobile_vla.evaluation.result import POLICY, EvaluationResult

HIGHER: tuple[MeasureName, ...] = ("tolerance", "direction", "macro_f1")  # better where higher
LOWER: tuple[MeasureName, ...] = ("rmse", "displacement")


def measures(runs: Sequence[EvaluationResult], baselines: Sequence[str]) -> list[Measure]:
    """Return each measure of an experiment that all of its runs have.

    Args:
        runs: scores of its runs, of all seeds and folds.
        baselines: those that all runs have.
    """
    curves = runs[0].tolerance
    tolerance = curves.tolerances[curves.headline]
    found = []
    for name in (*HIGHER, *LOWER):
        values = {predictor: _average(runs, name, predictor) for predictor in (POLICY, *baselines)}
        known = {predictor: value for predictor, value in values.items() if value is not None}
        if len(known) < len(values):
            continue
        policy = known.pop(POLICY)
        sign = 1 if name in HIGHER else -1
        baseline = max(known, key=lambda predictor: sign * known[predictor])
        lead = sign * (policy - known[baseline])
        found.append(
            Measure(
                name=name,
                tolerance=tolerance if name == "tolerance" else None,
                policy=policy,
                baseline=baseline,
                best=known[baseline],
                ahead="policy" if lead > 0 else "baseline" if lead < 0 else None,
            )
        )
    return found


def _average(runs: Sequence[EvaluationResult], name: MeasureName, predictor: str) -> float | None:
    """Return the mean over runs, weighted by their steps; None where a run has no value."""
    values = [_value(run, name, predictor) for run in runs]
    known = [value for value in values if value is not None]
    if len(known) < len(runs):
        return None
    return float(np.average(known, weights=[run.steps for run in runs]))


def _value(run: EvaluationResult, name: MeasureName, predictor: str) -> float | None:
    if name == "tolerance":
        return run.tolerance.match[predictor][run.tolerance.headline]
    if name == "direction":
        return run.direction_agreement[predictor]
    if name == "macro_f1":
        return run.macro_f1[predictor]
    if name == "displacement":
        return run.displacement[predictor].ade
    errors = run.policy if predictor == POLICY else run.baselines[predictor]
    return errors.rmse["overall"]

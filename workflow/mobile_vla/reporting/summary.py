"""The summary: what each experiment comes to, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobile_vla.comparison.result import ComparisonResult, ExperimentScores
from mobile_vla.reporting.format import MISSING, duration, number, parameters, percent, size
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.texts import Texts
from mobile_vla.reporting.verdict import KINDS, between, interval, judged

WIDTH = 600.0  # of the small drawing, whose left end is an error of 0
ROOM = 1.05  # beyond the largest error


@dataclass(frozen=True)
class Line:
    """One experiment.

    Args:
        kind: ``better``, ``worse``, ``mixed`` or ``none``: how it is coloured.
        tag: the outcome in a few words.
        verdict: the outcome as a sentence.
        sentence: the numbers that it rests on.
        alt: the same for those who do not see the drawing.
        at: where the drawing has the error; so with its interval and the best baseline.
        facts: names and values of what else is to be known.
    """

    experiment: str
    kind: str
    tag: str
    verdict: str
    sentence: str
    alt: str
    at: float
    low: float | None
    high: float | None
    baseline_at: float
    facts: list[tuple[str, str]]


def lines(scores: ComparisonResult, runs: Sequence[Run], t: Texts) -> list[Line]:
    """Return a line for each experiment, in the order of config.yaml; all on one scale."""
    most = max(
        max(own.mae.value, own.mae.high or 0.0, own.best_baseline.mae) for own in scores.experiments
    )
    scale = WIDTH / (ROOM * most) if most > 0 else 0.0
    return [
        _line(own, [run for run in runs if run.experiment == own.experiment], scale, t)
        for own in scores.experiments
    ]


def _line(own: ExperimentScores, runs: Sequence[Run], scale: float, t: Texts) -> Line:
    best = own.best_baseline
    sentence = t(
        "summary.sentence",
        mae=interval(own.mae, t),
        baseline=t.words(best.name),
        baseline_mae=number(best.mae),
        difference=between(own.differences[best.name], t),
        episodes=t.count(own.episodes, f"{own.scored_on} episode"),
        steps=t.count(own.steps, "step"),
    )
    if own.verdict.outcome == "no_verdict":
        sentence += " " + t("summary.flatters")
    bounded = own.mae.low is not None and own.mae.high is not None
    return Line(
        experiment=own.experiment,
        kind=KINDS[own.verdict.outcome],
        tag=t(f"tag.{own.verdict.outcome}"),
        verdict=judged(own.verdict, t),
        sentence=sentence,
        alt=f"{own.experiment}: {sentence}",
        at=_place(own.mae.value, scale),
        low=_place(own.mae.low, scale) if bounded and own.mae.low is not None else None,
        high=_place(own.mae.high, scale) if bounded and own.mae.high is not None else None,
        baseline_at=_place(best.mae, scale),
        facts=_facts(own, runs, t),
    )


def _facts(own: ExperimentScores, runs: Sequence[Run], t: Texts) -> list[tuple[str, str]]:
    """Return the names and values below an experiment's verdict."""
    times = [run.training.total_time for run in runs]
    trained = runs[0].training
    values = {
        "skill": percent(own.skill, sign=True),
        "closed_loop": _closed_loop(runs, t),
        "language": "; ".join(dict.fromkeys(t(f"said.{run.language.verdict}") for run in runs)),
        "image": t(f"use.{own.verdict.image}"),
        "prompt": t(f"use.{own.verdict.prompt}"),
        "training_time": t.between(duration(min(times)), duration(max(times))),
        "trained": parameters(trained.parameters.trainable_total),
        "policy_size": size(trained.policy_bytes),
        "seeds": str(own.seeds) + (f" × {t.count(own.folds, 'fold')}" if own.folds > 1 else ""),
    }
    return [(t(f"fact.{name}"), value or MISSING) for name, value in values.items()]


def _closed_loop(runs: Sequence[Run], t: Texts) -> str:
    """Return each run's share of successes with its interval."""
    found = [run.rollouts.drivers["policy"].success for run in runs if run.rollouts is not None]
    if not found:
        return t("fact.no_world")
    return "; ".join(
        f"{percent(own.rate)} ({t.between(percent(own.low), percent(own.high))}, n = {own.trials})"
        for own in found
    )


def _place(value: float, scale: float) -> float:
    return round(value * scale, 1)

"""The summary: what each experiment comes to, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobile_vla.comparison.result import ComparisonResult, ExperimentScores
from mobile_vla.reporting.format import duration, number, parameters, percent, size
from mobile_vla.reporting.load import Run, grouped
from mobile_vla.reporting.verdict import KINDS, between, disagreement, judged, span_of, standing
from mobile_vla.texts import MISSING, Texts

WIDTH = 600.0  # of the small drawing, whose left end is an error of 0
ROOM = 1.05  # beyond the largest error


@dataclass(frozen=True)
class Line:
    """One experiment."""

    experiment: str
    kind: str  # better, worse, mixed or none: how it is coloured
    word: str  # the verdict's
    verdict: str  # the same as a sentence
    sentence: str  # the numbers that it rests on
    at: float  # where the drawing has the error; so with its interval and the best baseline
    low: float | None
    high: float | None
    baseline_at: float
    facts: list[tuple[str, str]]  # names and values of what else is to be known


def lines(scores: ComparisonResult, runs: Sequence[Run], t: Texts) -> list[Line]:
    """Return a line for each experiment, in the order of config.yaml; all on one scale."""
    most = max(
        max(own.mae.value, own.mae.high or 0.0, own.best_baseline.mae) for own in scores.experiments
    )
    scale = WIDTH / (ROOM * most) if most > 0 else 0.0
    runs_of = grouped(runs, lambda run: run.experiment)
    return [_line(own, runs_of[own.experiment], scale, t) for own in scores.experiments]


def _line(scores: ExperimentScores, runs: Sequence[Run], scale: float, t: Texts) -> Line:
    best, mae, word = scores.best_baseline, scores.mae, standing(scores)
    ends = span_of(mae.low, mae.high, t)
    if mae.low is not None:
        ends = f"{percent(mae.confidence)}: {ends}"
    sentence = t(
        "summary.sentence",
        mae=f"{number(mae.value)} ({ends})",
        baseline=t.words(best.name),
        baseline_mae=number(best.mae),
        difference=between(scores.differences[best.name], t),
        episodes=t.count(scores.episodes, f"{scores.scored_on} episode"),
        steps=t.count(scores.steps, "step"),
    )
    if word == "no_verdict":
        sentence += " " + t("summary.flatters")
    return Line(
        experiment=scores.experiment,
        kind=KINDS[word],
        word=word,
        verdict=f"{judged(scores.verdict, t)} {disagreement(scores, t)}".strip(),
        sentence=sentence,
        at=round(mae.value * scale, 1),
        low=None if mae.low is None else round(mae.low * scale, 1),
        high=None if mae.high is None else round(mae.high * scale, 1),
        baseline_at=round(best.mae * scale, 1),
        facts=_facts(scores, runs, t),
    )


def _facts(scores: ExperimentScores, runs: Sequence[Run], t: Texts) -> list[tuple[str, str]]:
    """Return the names and values below an experiment's verdict."""
    times = [run.training.total_time for run in runs]
    trained = runs[0].training
    folds = f" × {t.count(scores.folds, 'fold')}" if scores.folds > 1 else ""
    values = {
        "skill": percent(scores.skill, sign=True),
        "closed_loop": _closed_loop(runs, t),
        "language": "; ".join(dict.fromkeys(t(f"said.{run.language.verdict}") for run in runs)),
        "image": t(f"use.{scores.verdict.image}"),
        "prompt": t(f"use.{scores.verdict.prompt}"),
        "training_time": t.between(duration(min(times)), duration(max(times))),
        "trained": parameters(trained.parameters.trainable_total),
        "policy_size": size(trained.policy_bytes),
        "seeds": f"{scores.seeds}{folds}",
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

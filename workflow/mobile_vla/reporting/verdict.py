"""The evaluation's verdicts in words, with the numbers that they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.comparison.result import ComparisonResult, ExperimentPair, ExperimentScores
from mobile_vla.evaluation.result import Difference, EvaluationResult, Verdict
from mobile_vla.reporting.format import number, percent
from mobile_vla.reporting.texts import Texts

SHARES = ("tolerance", "direction")  # measures that are shares of 1

KINDS = {
    "beats": "better",
    "does_not_beat": "worse",
    "inconclusive": "mixed",
    "ignores_image": "worse",
    "no_verdict": "none",
}
"""How an outcome is coloured."""


def judged(verdict: Verdict, t: Texts) -> str:
    """Return a verdict as a sentence."""
    text = t(
        f"verdict.{verdict.outcome}",
        baseline=t.words(verdict.against),
        episodes=t.count(verdict.episodes, "episode"),
    )
    if verdict.image == "ignored" and verdict.outcome == "does_not_beat":
        text += " " + t("verdict.image_ignored")
    return text + _needed(verdict.needed, t)


def disagreement(scores: ExperimentScores, t: Texts) -> str:
    """Return the measures that disagree with a verdict, with their numbers; empty without any."""
    parts = [
        t(
            "measure.one",
            measure=t(
                f"measure.{own.name}",
                at="" if own.tolerance is None else number(own.tolerance),
            ),
            baseline=t.words(own.baseline),
            best=(percent if own.name in SHARES else number)(own.best),
            policy=(percent if own.name in SHARES else number)(own.policy),
        )
        for own in scores.disagreeing
    ]
    return t(f"measure.{scores.verdict.outcome}", parts="; ".join(parts)) if parts else ""


def overview(scores: ComparisonResult, t: Texts) -> str:
    """Return a sentence on all experiments together."""
    outcomes = [own.verdict.outcome for own in scores.experiments]
    n, better = len(outcomes), outcomes.count("beats")
    if outcomes.count("no_verdict") == n:
        return t("overview.no_verdict")
    if n == 1:
        return t(f"overview.{outcomes[0]}")
    key = "all" if better == n else "some" if better else "none"
    text = t(f"overview.{key}", better=better, n=better, all=n)
    inconclusive = outcomes.count("inconclusive")
    if inconclusive:
        text += " " + t("overview.rest", n=inconclusive)
    if blind := outcomes.count("ignores_image"):
        text += " " + t("overview.blind", n=blind)
    return f"{text} {_leader(scores, t)}".strip()


def _leader(scores: ComparisonResult, t: Texts) -> str:
    """Return which experiment is better than all others, where that is conclusive."""
    groups = [group for group in scores.groups if group.pairs]
    if len(scores.groups) > 1 or not groups:
        return ""
    names = [own.experiment for own in groups[0].experiments]
    won = [pair.better for pair in groups[0].pairs]
    leaders = [name for name in names if won.count(name) == len(names) - 1]
    if leaders:
        return t("overview.leader", experiment=leaders[0])
    if any(own.verdict.outcome == "no_verdict" for own in scores.experiments):
        return ""
    return t("overview.no_leader")


def pair_said(pair: ExperimentPair, t: Texts) -> str:
    """Return the conclusion about two experiments."""
    one, other = pair.experiments
    if pair.better is not None:
        return t("pair.better", better=pair.better, other=other if pair.better == one else one)
    return t("pair.inconclusive", one=one, other=other) + _needed(pair.needed, t)


def _needed(episodes: int | None, t: Texts) -> str:
    """Return how many episodes a conclusion would take, with two digits that count."""
    if episodes is None:
        return ""
    about = round(episodes, -max(len(str(episodes)) - 2, 0))
    return " " + t("verdict.needed", episodes=t.count(about, "episode"))


def scored_on(score: EvaluationResult, t: Texts) -> str:
    """Return what was scored, with its numbers: ``84 windows of 12 test episodes``.

    Where these episodes chose the checkpoint, no number stands without saying so.
    """
    text = t(
        "scored.on",
        windows=t.count(score.windows, "window"),
        episodes=t.count(score.episodes, f"{score.scored_on} episode"),
    )
    if score.folds > 1:
        text += " " + t("scored.fold", fold=score.fold)
    if score.held_out is not None:
        text += " " + t("scored.held_out", value=score.held_out)
    if score.selected_on_scored:
        text += t("scored.selected")
    return text


def all_scored(scores: Sequence[EvaluationResult], t: Texts) -> str:
    """Return what an experiment's runs were scored on: the same episodes, or those of each fold."""
    folds = {score.fold: score for score in scores}
    if len(folds) == 1:
        return scored_on(scores[0], t)
    windows = sum(score.windows for score in folds.values())
    episodes = sum(score.episodes for score in folds.values())
    return t(
        "scored.folds",
        windows=t.count(windows, "window"),
        episodes=t.count(episodes, f"{scores[0].scored_on} episode"),
        folds=len(folds),
    )


def between(gap: Difference, t: Texts) -> str:
    """Return a difference with its interval: ``−0.050 (−0.061 to −0.040)``."""
    return f"{number(gap.value)} ({span_of(gap.low, gap.high, t)})"


def span_of(low: float | None, high: float | None, t: Texts) -> str:
    """Return an interval's bounds, or that the episodes carry none."""
    if low is None or high is None:
        return t("interval.none")
    return t.between(number(low), number(high))

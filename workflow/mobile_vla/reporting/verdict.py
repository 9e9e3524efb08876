"""The evaluation's verdicts in words, with the numbers that they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.comparison.result import ExperimentPair, ExperimentScores
from mobile_vla.evaluation.result import Difference, EvaluationResult, Verdict
from mobile_vla.reporting.format import number, percent
from mobile_vla.texts import Texts

SHARES = ("tolerance", "direction")  # measures that are shares of 1

KINDS = {
    "ahead": "better",
    "behind": "worse",
    "tied": "worse",
    "inconclusive": "mixed",
    "ignores_image": "worse",
    "no_verdict": "none",
}
"""How a verdict is coloured, by its word."""


def standing(scores: ExperimentScores) -> str:
    """Return a verdict's word: where an experiment stands to its baselines.

    ``tied`` is an experiment whose error is exactly that of the best one.
    """
    outcome = scores.verdict.outcome
    if outcome == "beats":
        return "ahead"
    if outcome == "does_not_beat":
        return "behind" if ahead_of(scores) is not None else "tied"
    return outcome


def ahead_of(scores: ExperimentScores) -> str | None:
    """Return a baseline that is conclusively better than a policy: of several the best."""
    worse = [name for name in scores.baselines if scores.differences[name].value > 0]
    known = [name for name in worse if scores.differences[name].worse]
    return min(known or worse, key=scores.baselines.__getitem__, default=None)


def undecided(scores: ExperimentScores) -> str:
    """Return the baseline that leaves a verdict inconclusive: of several the best.

    It need not be the best of all: an experiment may be ahead of that one, and not of another whose
    errors vary more between episodes.
    """
    gaps = scores.differences
    left = [name for name in scores.baselines if not gaps[name].better and not gaps[name].worse]
    return min(left or [scores.best_baseline.name], key=scores.baselines.__getitem__)


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
    return " " + t("verdict.needed", episodes=t.count(about(episodes), "episode"))


def about(episodes: int) -> int:
    """Return an estimated number of episodes with the two digits that count."""
    return round(episodes, -max(len(str(episodes)) - 2, 0))


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


def counted(scores: ExperimentScores, t: Texts) -> str:
    """Return an experiment's scored episodes: ``42 test episodes``, and in how many groups."""
    episodes = t.count(scores.episodes, f"{scores.scored_on} episode")
    if scores.groups == scores.episodes:
        return episodes
    return t("grouped", episodes=episodes, groups=t.count(scores.groups, "group"))


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

"""The evaluation's verdicts as sentences, with the numbers that they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobile_vla.reporting.format import UNIT, count, number, percent, words
from mobile_vla.reporting.records import Evaluation
from mobile_vla.reporting.scores import Difference, Interval, Judged, Scores

TAGS = {
    "beats": ("better", "beats the baselines"),
    "does_not_beat": ("worse", "no better than a baseline"),
    "cannot_be_told": ("mixed", "cannot be told"),
    "ignores_image": ("worse", "ignores the image"),
    "no_verdict": ("none", "no verdict"),
}


@dataclass(frozen=True)
class Line:
    """One experiment's line in the summary.

    Args:
        experiment: its name.
        kind: ``better``, ``worse``, ``mixed`` or ``none``: how the line is coloured.
        tag: the outcome in a few words.
        sentence: what is said of it.
    """

    experiment: str
    kind: str
    tag: str
    sentence: str


def line(own: Judged) -> Line:
    """Return the line of one experiment."""
    kind, tag = TAGS[own.verdict.outcome]
    best = own.best_baseline
    mae = f"mean absolute error {interval(own.mae)} {UNIT}"
    against = f"{words(best.name)} {number(best.mae)}"
    gap = own.differences[best.name]
    seeds = f", mean of {own.seeds} seeds" if own.seeds > 1 else ""
    folds = f" in {own.folds} folds" if own.folds > 1 else ""
    sentence = (
        f"{own.verdict.text}. {mae[0].upper()}{mae[1:]}; {against}; difference "
        f"{between(gap)}, on {count(own.episodes, f'{own.scored_on} episode')}{folds}{seeds}."
    )
    if own.verdict.outcome == "no_verdict":
        sentence += " The number flatters it. For a verdict, give the split a test share."
    return Line(own.experiment, kind, tag, sentence)


def overview(scores: Scores) -> str:
    """Return a sentence on all experiments together."""
    outcomes = [own.verdict.outcome for own in scores.experiments]
    if all(outcome == "no_verdict" for outcome in outcomes):
        return "Without test episodes there is no verdict on any experiment."
    better, n = outcomes.count("beats"), len(outcomes)
    untold = outcomes.count("cannot_be_told")
    if n == 1:
        start = {
            "beats": "The experiment beats every baseline",
            "cannot_be_told": "Whether the experiment beats the baselines cannot be told",
        }.get(outcomes[0], "The experiment does not beat the baselines")
        return f"{start} on its test episodes."
    who = "All" if better == n else f"{better or 'None'} of"
    verb, whose = ("beats", "its") if better == 1 else ("beat", "their")
    text = f"{who} {n} experiments {verb} every baseline on {whose} test episodes."
    if untold:
        text += f" Of {untold} it cannot be told."
    return f"{text} {_leader(scores)}".strip()


def scored_on(score: Evaluation) -> str:
    """Return what was scored, with its numbers: ``84 windows of 12 test episodes``.

    Where there are several folds, it names the fold. Where these episodes chose the checkpoint, no
    number stands without saying so.
    """
    windows, episodes = count(score.windows, "window"), f"{score.scored_on} episode"
    selected = ", which also chose the checkpoint" if score.selected_on_scored else ""
    held_out = f" (held out: {score.held_out})" if score.held_out is not None else ""
    fold = f" in fold {score.fold}" if score.folds > 1 else ""
    return f"{windows} of {count(score.episodes, episodes)}{fold}{held_out}{selected}"


def all_scored(scores: Sequence[Evaluation]) -> str:
    """Return what an experiment's runs were scored on: the same episodes, or those of each fold."""
    folds = {score.fold: score for score in scores}
    if len(folds) == 1:
        return scored_on(scores[0])
    windows = count(sum(score.windows for score in folds.values()), "window")
    episodes = sum(score.episodes for score in folds.values())
    tested = count(episodes, f"{scores[0].scored_on} episode")
    return f"{windows} of {tested} in {len(folds)} folds, each fold by itself"


def interval(own: Interval) -> str:
    """Return ``0.150 (95 %: 0.140 to 0.161)``."""
    span = _span(own.low, own.high)
    return f"{number(own.value)} ({percent(own.confidence)}: {span})"


def between(own: Difference) -> str:
    """Return a difference with its interval: ``−0.050 (−0.061 to −0.040)``."""
    return f"{number(own.value)} ({_span(own.low, own.high)})"


def _span(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "too few episodes for an interval"
    return f"{number(low)} to {number(high)}"


def _leader(scores: Scores) -> str:
    """Return which experiment is better than all others, where that can be told."""
    groups = [group for group in scores.groups if group.pairs]
    if len(scores.groups) > 1 or not groups:
        return ""
    names = [own.experiment for own in groups[0].experiments]
    won = [pair.better for pair in groups[0].pairs]
    leaders = [name for name in names if won.count(name) == len(names) - 1]
    if leaders:
        return f"{leaders[0]} has a lower error than all others."
    if any(own.verdict.outcome == "no_verdict" for own in scores.experiments):
        return ""
    return "That any one of them has the lowest error cannot be told."

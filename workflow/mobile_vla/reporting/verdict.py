"""What an experiment's scores amount to, in a plain sentence computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mobile_vla.reporting.format import UNIT, count, number, percent, span, words
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.records import Evaluation
from mobile_vla.reporting.selection import lowest_error

Outcome = Literal["better", "mixed", "worse", "none"]

TAGS: dict[Outcome, str] = {
    "better": "beats the baselines",
    "mixed": "only some runs do",
    "worse": "no better than a baseline",
    "none": "no verdict",
}


@dataclass(frozen=True)
class Verdict:
    """One experiment's line in the summary.

    Args:
        experiment: its name.
        outcome: what the scores say; ``none`` where the scored episodes chose the checkpoint.
        sentence: what follows the name in the sentence.
    """

    experiment: str
    outcome: Outcome
    sentence: str

    @property
    def tag(self) -> str:
        """The outcome in a few words."""
        return TAGS[self.outcome]


def verdict(runs: Sequence[Run]) -> Verdict:
    """Return the verdict on one experiment's runs."""
    name = runs[0].experiment
    scores = [run.evaluation for run in runs]
    if any(score.beats_best_baseline is None or score.selected_on_scored for score in scores):
        return Verdict(name, "none", _undecided(scores))
    won = sum(bool(score.beats_best_baseline) for score in scores)
    outcome: Outcome = "better" if won == len(scores) else "mixed" if won else "worse"
    noun = "runs" if scores[0].folds > 1 else "seeds"
    return Verdict(name, outcome, f"{_claim(won, len(scores), noun)}: {_numbers(scores)}.")


def overview(runs: Sequence[Run], verdicts: Sequence[Verdict]) -> str:
    """Return a sentence on all experiments together."""
    if all(own.outcome == "none" for own in verdicts):
        return "Without test episodes there is no verdict on any experiment."
    better = sum(own.outcome == "better" for own in verdicts)
    if len(verdicts) == 1:
        start = "The experiment beats" if better else "The experiment does not beat"
        return f"{start} the best baseline on its test episodes."
    who = "All" if better == len(verdicts) else f"{better or 'None'} of"
    verb, whose = ("beats", "its") if better == 1 else ("beat", "their")
    text = f"{who} {len(verdicts)} experiments {verb} the best baseline on {whose} test episodes."
    best = lowest_error(runs)
    if best is None:
        return text
    mae = number(best.evaluation.policy["mae"]["overall"])
    return f"{text} The lowest error is that of {best.label}: {mae} {UNIT}."


def scored_on(score: Evaluation) -> str:
    """Return what was scored, with its numbers: ``84 windows of 12 test episodes``.

    Where there are several folds, it names the fold. Where these episodes chose the checkpoint, no
    number stands without saying so.
    """
    selected = ", which also chose the checkpoint" if score.selected_on_scored else ""
    held_out = f" (held out: {score.held_out})" if score.held_out is not None else ""
    fold = f" in fold {score.fold}" if score.folds > 1 else ""
    return f"{_sample(score)}{fold}{held_out}{selected}"


def _sample(score: Evaluation) -> str:
    windows, episodes = count(score.windows, "window"), f"{score.scored_on} episode"
    return f"{windows} of {count(score.episodes, episodes)}"


def _claim(won: int, of: int, noun: str) -> str:
    if of == 1:
        return "beats the best baseline" if won else "does not beat the best baseline"
    if won == of:
        return f"beats the best baseline with each of its {of} {noun}"
    if won:
        return f"beats the best baseline with {won} of its {of} {noun} only"
    return f"does not beat the best baseline with any of its {of} {noun}"


def _numbers(scores: Sequence[Evaluation]) -> str:
    own = [score.policy["mae"]["overall"] for score in scores]
    best = [score.best_baseline.mae for score in scores]
    names = " or ".join(dict.fromkeys(words(score.best_baseline.name) for score in scores))
    text = f"mean absolute error {span(own)} against {span(best)} {UNIT} for {names}"
    return f"{text}{_difference(scores)}, on {all_scored(scores)}"


def all_scored(scores: Sequence[Evaluation]) -> str:
    """Return what an experiment's runs were scored on: the same episodes, or those of each fold."""
    folds = {score.fold: score for score in scores}
    if len(folds) == 1:
        return scored_on(scores[0])
    windows = count(sum(score.windows for score in folds.values()), "window")
    episodes = sum(score.episodes for score in folds.values())
    tested = count(episodes, f"{scores[0].scored_on} episode")
    return f"{windows} of {tested} in {len(folds)} folds, each fold by itself"


def _difference(scores: Sequence[Evaluation]) -> str:
    skills = [score.skill for score in scores if score.skill is not None]
    if len(skills) < len(scores):
        return ""
    low, high = min(skills), max(skills)
    if low == high == 0:
        return ", the same"
    if low >= 0 or high <= 0:
        shares = [percent(share) for share in sorted({abs(low), abs(high)})]
        return f", {' to '.join(dict.fromkeys(shares))} {'less' if low >= 0 else 'more'}"
    return f", from {percent(high)} less to {percent(-low)} more"


def _undecided(scores: Sequence[Evaluation]) -> str:
    own = [score.policy["mae"]["overall"] for score in scores]
    best = [score.best_baseline.mae for score in scores]
    return (
        f"has a mean absolute error of {span(own)} {UNIT} on {_sample(scores[0])} "
        f"({words(scores[0].best_baseline.name)}: {span(best)}). Its checkpoint was selected on "
        "these very episodes, so the number flatters it and there is no verdict. For one, give "
        "the split a test share."
    )

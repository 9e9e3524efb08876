"""The answer: which experiment leads, and whether to believe it, in one to three sentences.

Every sentence is chosen by the comparison, and its numbers are those of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mobile_vla.comparison.result import (
    ComparableGroup,
    ComparisonResult,
    ExperimentPair,
    ExperimentScores,
)
from mobile_vla.reporting.format import percent, whole_percent
from mobile_vla.reporting.load import DatasetFacts, Run, grouped
from mobile_vla.reporting.ranking import group_labels, ranked_names, shown_errors
from mobile_vla.reporting.repeated import Repeated, repeated_drives
from mobile_vla.reporting.trials import real_rates
from mobile_vla.reporting.verdict import about, ahead_of, counted, standing, undecided
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.texts import Texts
from mobile_vla.trials.result import TrialResult

NAMED = 3  # experiments that a sentence names; of more, their number
REPLAYS = ("replay", "majority_action")  # baselines that repeat what was driven


@dataclass(frozen=True)
class Answer:
    """What is to be said of one group of comparable experiments."""

    label: str  # tells the group from others; empty where there is one
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """A group with all that its sentences rest on; experiments from the lowest error up."""

    compared: ComparableGroup
    names: tuple[str, ...]
    scores: Mapping[str, ExperimentScores]
    runs: Mapping[str, tuple[Run, ...]]
    repeated: Repeated | None
    trials: Sequence[TrialResult]
    t: Texts

    @property
    def judged(self) -> bool:
        """Whether scored episodes chose no checkpoint, so that there are verdicts."""
        return all(self.scores[name].verdict.outcome != "no_verdict" for name in self.names)

    @property
    def pairs(self) -> dict[frozenset[str], ExperimentPair]:
        """The comparison of each two experiments."""
        return {frozenset(pair.experiments): pair for pair in self.compared.pairs}

    @cached_property
    def shown(self) -> dict[str, tuple[str, str]]:
        """Each experiment's error, and its best baseline's, as the table shows them."""
        return shown_errors(self.compared, self.scores)

    @property
    def tied(self) -> tuple[str, ...]:
        """The experiments that are tied with the one that has the lowest error."""
        pairs, (lowest, *others) = self.pairs, self.names
        return tuple(name for name in others if pairs[frozenset((lowest, name))].better is None)

    @property
    def leaders(self) -> tuple[str, ...]:
        """The lowest error's experiment and those tied with it; all where none was compared."""
        return (self.names[0], *self.tied) if self.compared.pairs else self.names

    def listed(self, names: Sequence[str]) -> str:
        """Return experiments by their names, or how many they are."""
        if len(names) > NAMED:
            return self.t("answer.many", n=len(names))
        return self.t("answer.names", names=joined(names, self.t))


def answers(
    scores: ComparisonResult,
    runs: Sequence[Run],
    datasets: Sequence[DatasetFacts],
    t: Texts,
    trials: Sequence[TrialResult] = (),
) -> list[Answer]:
    """Return an answer for each group of comparable experiments.

    Where a leader drove the robot, and the names were told, nothing is said of simulated drives.
    """
    of_experiment = {own.experiment: own for own in scores.experiments}
    runs_of = grouped(runs, lambda run: run.experiment)
    facts = {own.manifest.dataset: own for own in datasets}
    labels = group_labels(scores.groups)
    found = []
    for compared, label in zip(scores.groups, labels, strict=True):
        repeated = repeated_drives(facts[compared.dataset]) if compared.dataset in facts else None
        names = tuple(ranked_names(compared))
        group = Group(compared, names, of_experiment, runs_of, repeated, trials, t)
        sentences = (_ranks(group), _believed(group), _driven(group))
        label = label if len(scores.groups) > 1 else ""
        found.append(Answer(label, tuple(sentence for sentence in sentences if sentence)))
    return found


def joined(parts: Sequence[str], t: Texts) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return t("answer.and", first=", ".join(parts[:-1]), last=parts[-1])


def _ranks(group: Group) -> str:
    """Return who leads, who is tied, and how many episodes would separate them."""
    t, names = group.t, group.names
    best = group.scores[names[0]]
    scored = f"{group.compared.scored_on} episode"
    if not group.judged:
        return t("answer.no_verdict", n=len(names), names=group.listed(names))
    if best.groups < FEWEST:
        key = "answer.few" if best.groups == best.episodes else "answer.few_groups"
        return t(key, episodes=counted(best, t), fewest=FEWEST)
    if len(names) == 1:
        return _alone(group)
    if (why := group.compared.why_no_pairs) is not None:
        return t("answer.not_ranked", names=group.listed(names), why=t.said(why))
    tied = group.tied
    behind = [name for name in names[1:] if name not in tied]
    episodes = t.count(group.compared.episodes, scored)
    if not behind:
        text = t("answer.all_tied", n=len(names), names=group.listed(names), episodes=episodes)
    else:
        text = t(
            "answer.leads",
            best=group.listed(names[:1]),
            mae=group.shown[names[0]][0],
            behind=group.listed(behind),
            episodes=episodes,
        )
        if tied:
            text += t("answer.tied", n=len(tied), names=group.listed(tied))
    return t("answer.end", text=text + _separated(group))


def _separated(group: Group) -> str:
    """Return how many episodes would tell the best experiment from the nearest that is tied."""
    if not group.tied:
        return ""
    best, nearest = group.names[0], group.tied[0]
    needed = group.pairs[frozenset((best, nearest))].needed
    if needed is None:
        return ""
    return group.t(
        "answer.separated",
        one=group.listed([best]),
        other=group.listed([nearest]),
        episodes=group.t.count(about(needed), f"{group.compared.scored_on} episode"),
    )


def _alone(group: Group) -> str:
    """Return the error of the only experiment beside its best baseline's."""
    own, t = group.scores[group.names[0]], group.t
    return t(
        "answer.alone",
        name=group.listed([own.experiment]),
        mae=group.shown[own.experiment][0],
        baseline=t.words(own.best_baseline.name),
        baseline_mae=group.shown[own.experiment][1],
        episodes=t.count(own.episodes, f"{own.scored_on} episode"),
    )


def _believed(group: Group) -> str:
    """Return which experiments are ahead of their baselines, and which errors prove nothing."""
    t = group.t
    if not group.judged or group.scores[group.names[0]].groups < FEWEST:
        return _replayed(group)
    parts: dict[tuple[str, str], list[str]] = {}
    for name in group.names:
        own = group.scores[name]
        word = standing(own)
        against = {
            "behind": ahead_of(own) or "",
            "inconclusive": undecided(own),
            "tied": own.best_baseline.name,
        }.get(word, "")
        parts.setdefault((word, against), []).append(name)
    if replayed := _replayed(group):
        return replayed
    said = [
        t(
            f"answer.{'tied_baseline' if word == 'tied' else word}",
            n=len(names),
            names=_all(group) if len(names) == len(group.names) else group.listed(names),
            baseline=t.words(baseline),
        )
        for (word, baseline), names in parts.items()
    ]
    return t("answer.end", text=t("answer.then").join(said))


def _all(group: Group) -> str:
    """Return all experiments of a group in a word, the only one by its name."""
    n = len(group.names)
    if n == 1:
        return group.listed(group.names)
    return group.t("answer.both") if n == 2 else group.t("answer.all", n=n)


def _replayed(group: Group) -> str:
    """Return that a falling loss is no success where most drives have the same commands."""
    own, repeated = group.scores[group.names[0]], group.repeated
    if repeated is None or standing(own) == "ahead" or own.best_baseline.name not in REPLAYS:
        return ""
    training = group.runs[own.experiment][0].training
    first = training.initial_val_loss
    if not first or training.best_val_loss >= first:
        return ""
    return group.t(
        "answer.replayed",
        fall=percent(1 - training.best_val_loss / first),
        name=group.listed([own.experiment]),
        same=repeated.episodes,
        n=repeated.of,
        baseline=group.t.words(own.best_baseline.name),
        baseline_mae=group.shown[own.experiment][1],
        mae=group.shown[own.experiment][0],
    )


def _driven(group: Group) -> str:
    """Return how often the leaders arrive in closed loop, beside the expert and the replay."""
    t, leaders = group.t, group.leaders
    if any(real_rates(group.trials, name) for name in leaders):
        return ""
    runs = [run for name in leaders for run in group.runs[name]]
    found = [run.rollouts for run in runs if run.rollouts is not None]
    if not found:
        return "" if any(own.begun for own in group.trials) else t("answer.not_driven")
    rates = {
        driver: t.between(whole_percent(min(values)), whole_percent(max(values)))
        for driver in ("policy", "expert", "replay")
        for values in [[own.drivers[driver].success.rate for own in found]]
    }
    text = t("answer.driven", n=len(leaders), names=group.listed(leaders), **rates)
    return t("answer.end", text=text + _driven_better(group))


def _driven_better(group: Group) -> str:
    """Return who arrives more often than the experiment with the lowest error, beyond chance."""
    t, best, driven = group.t, group.names[0], group.compared.driven
    if not group.compared.pairs or driven is None or best != driven.lowest:
        return ""
    if not driven.more_often:
        return ""
    rates, most = driven.success, driven.more_often[0]
    text = "answer.driven_most" if most in group.leaders else "answer.driven_better"
    return t(
        text,
        name=group.listed([most]),
        rate=whole_percent(rates[most]),
        best=group.listed([best]),
        own=whole_percent(rates[best]),
    )

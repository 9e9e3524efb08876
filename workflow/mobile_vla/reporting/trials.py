"""Blind trials on the robot in words: how often each policy arrives, and which one more often."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mobile_vla.reporting.format import percent, whole_percent
from mobile_vla.reporting.load import Run
from mobile_vla.texts import Texts
from mobile_vla.trials.result import HORIZON, DrivenPair, DriveRate, TrialResult

UNLIKELY = 0.1  # chance of a decision below which to stop is advised,
ADVISED_FROM = 20  # … from this number of blocks on
TOLD = 0.5  # a difference that is ruled out is worth a sentence below this share
TOLD_PAIRS = 3  # of more, the first screen says how many are decided


def trial_sentences(trial: TrialResult, t: Texts) -> list[str]:
    """Return how far a trial is, how often its policies arrive, and what each pair comes to."""
    if not trial.scheduled:
        return [t("trial.not_scheduled", trial=trial.trial)]
    blind = {"begun": trial.begun, "blocks": t.count(trial.scheduled, "block")}
    found = [] if trial.unblinded else [t("trial.blind", trial=trial.trial, **blind)]
    if any(own.now.drives for own in trial.policies):
        found.append(t("trial.rates", rates=", ".join(_rates(trial, t))))
    if len(trial.pairs) <= TOLD_PAIRS:
        return [*found, *(pair_sentence(trial, pair, t) for pair in trial.pairs)]
    decided = [pair for pair in trial.pairs if pair.better is not None]
    pairs = t.count(len(trial.pairs), "pair")
    return [*found, t("trial.many", decided=len(decided), pairs=pairs)]


def trial_answers(trials: Sequence[TrialResult], t: Texts) -> list[tuple[str, str]]:
    """Return each trial's name and what is said of it first."""
    return [(own.trial, " ".join(trial_sentences(own, t))) for own in trials]


def _rates(trial: TrialResult, t: Texts) -> list[str]:
    """Return each policy with its share of successes."""
    return [
        t(
            "trial.rate",
            policy=own.policy,
            successes=own.now.successes,
            drives=own.now.drives,
            interval=t.between(whole_percent(own.now.low), whole_percent(own.now.high)),
        )
        for own in trial.policies
        if own.now.drives
    ]


def pair_sentence(trial: TrialResult, pair: DrivenPair, t: Texts) -> str:
    """Return which of two policies arrives more often, or how likely it is to be found out."""
    if pair.better is not None:
        return _decided(trial, pair, t)
    one, other = pair.policies
    names = {"one": one, "other": other}
    if not pair.blocks:
        return t("trial.end", text=t("trial.no_block", **names))
    text = t(
        "trial.inconclusive",
        **names,
        blocks=t.count(pair.blocks, "block"),
        wins=pair.wins,
        losses=pair.losses,
    )
    text += _forecast(pair, t)
    if pair.low is not None and pair.high is not None and max(-pair.low, pair.high) < TOLD:
        points = math.ceil(100 * max(-pair.low, pair.high))
        text += t("trial.ruled_out", points=points)
    return t("trial.end", text=text)


def _decided(trial: TrialResult, pair: DrivenPair, t: Texts) -> str:
    """Return that a policy arrives more often, and whether missing drives could change it."""
    first = pair.better == pair.policies[0]
    won, lost = (pair.wins, pair.losses) if first else (pair.losses, pair.wins)
    text = t(
        "trial.better",
        better=pair.better,
        other=pair.worse,
        wins=t.count(won, "block"),
        losses=lost,
        p=rounded_up(pair.p_holm),
    )
    if trial.comparisons > 1:
        text += t("trial.corrected", pairs=t.count(trial.comparisons, "pair"))
    text = t("trial.close", text=text)
    if pair.weaker and pair.decided_after is not None:
        text += t("trial.weaker", blocks=t.count(pair.decided_after, "block"))
    if pair.holds is not None:
        key = "trial.holds" if pair.holds else "trial.holds_not"
        text += t(key, blocks=t.count(pair.missing, "block"))
    return t("trial.end", text=text)


def _forecast(pair: DrivenPair, t: Texts) -> str:
    """Return the chance of a decision within the budget, or about how many more blocks it takes."""
    chance = pair.chance or 0.0
    if not pair.remaining:
        return t("trial.exhausted", more=_more(pair, t))
    values = {"chance": percent(chance), "remaining": t.count(pair.remaining, "block")}
    if pair.blocks >= ADVISED_FROM and chance < UNLIKELY:
        return t("trial.unlikely", **values)
    return t("trial.chance", **values)


def _more(pair: DrivenPair, t: Texts) -> str:
    """Return a range of how many more blocks it takes: a number alone would be too sure."""
    if pair.needed_low is None:
        return t("trial.more_than", low=HORIZON)
    if pair.needed_high is None:
        return t("trial.more_than", low=pair.needed_low)
    return t.between(str(pair.needed_low), str(pair.needed_high))


def rounded_up(p: float) -> str:
    """Return a p value with two digits, never smaller than it is."""
    scale = 10.0 ** (1 - math.floor(math.log10(p)))
    return f"{math.ceil(p * scale - 1e-9) / scale:.2g}"


def real_rates(trials: Sequence[TrialResult], experiment: str) -> list[DriveRate]:
    """Return how often an experiment's policies arrived in the trials that are unblinded."""
    return [
        own.now
        for trial in trials
        if trial.unblinded is not None
        for own in trial.policies
        if own.policy.partition("/")[0] == experiment and own.now.drives
    ]


def run_of(trial: TrialResult, policy: str, runs: Sequence[Run]) -> Run | None:
    """Return the run that a policy of an unblinded trial is; None while the trial is blind."""
    if trial.unblinded is None:
        return None
    return next((run for run in runs if f"{run.experiment}/{run.run}" == policy), None)

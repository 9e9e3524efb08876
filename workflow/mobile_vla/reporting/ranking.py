"""The first table: the experiments of a comparable group, from the lowest error to the highest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mobile_vla.comparison.result import ComparableGroup, ComparisonResult, ExperimentScores
from mobile_vla.config.units import Units
from mobile_vla.reporting.format import (
    GLUE,
    aligned,
    duration,
    parameters,
    percent,
    size,
    whole_percent,
)
from mobile_vla.reporting.load import Run, grouped
from mobile_vla.reporting.trials import real_rates
from mobile_vla.reporting.units import text_in_units
from mobile_vla.reporting.verdict import KINDS, counted, standing
from mobile_vla.statistics.result import MeanWithInterval, Proportion
from mobile_vla.texts import MISSING, Texts
from mobile_vla.trials.result import DriveRate, TrialResult

STEPS = (1, 2, 2.5, 5, 10)  # of an axis, times a power of ten
TICKS = 4  # of an axis, about
OPTIONAL = ("skill", "image", "prompt", "training_time", "trained", "policy_size")


@dataclass(frozen=True)
class Axis:
    """The scale that all drawings of a table share; positions are per cent of its width."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]  # position and label

    @classmethod
    def around(cls, values: Sequence[float]) -> Axis:
        """Return an axis with round ends that holds all values."""
        lowest, highest = min(values), max(values)
        rough = (highest - lowest or abs(highest) or 1.0) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(each for each in STEPS if each * power >= rough * 0.999)
        first = math.floor(lowest / step + 1e-9)
        last = max(math.ceil(highest / step - 1e-9), first + 1)
        ends = first * step, last * step
        marks = [index * step for index in range(first, last + 1)]
        decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (step / power == 2.5))
        places = [100 * (mark - ends[0]) / (ends[1] - ends[0]) for mark in marks]
        labels = [f"{mark + 0.0:.{decimals}f}" for mark in marks]
        return cls(*ends, tuple(zip(places, labels, strict=True)))

    def place(self, value: float | None) -> float | None:
        """Return where a value is drawn; what lies beyond an end, at that end."""
        if value is None:
            return None
        place = 100 * (value - self.low) / (self.high - self.low)
        return round(min(max(place, 0.0), 100.0), 2)


@dataclass(frozen=True)
class RankingCell:
    """A value as it reads, what it is sorted by, and the ends of its interval."""

    text: str
    value: float | None = None
    ends: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Row:
    """An experiment; positions of the drawing are per cent of the axis."""

    experiment: str
    letters: str
    word: str  # the verdict's
    kind: str  # how the verdict is coloured
    mae: RankingCell
    interval: str
    physical: str  # the error in metres or radians a second; empty where the dataset says no units
    baseline: RankingCell
    at: float
    beyond: bool  # whether the error is larger than the axis
    low: float | None
    high: float | None
    baseline_at: float | None
    success: RankingCell
    language: str
    seeds: RankingCell
    optional: tuple[RankingCell, ...]  # the columns that are shown on demand, by OPTIONAL


@dataclass(frozen=True)
class Ranking:
    """A table of experiments that may be ranked together, with its axis."""

    group: ComparableGroup
    caption: str
    rows: tuple[Row, ...]
    axis: Axis
    ranked: bool  # whether pairs were compared, so that the rows have an order
    lettered: bool  # whether pairs were tested, so that letters say who is tied
    partial: bool  # whether some experiment also predicts steps that others do not
    driven: str  # which drives have a column: simulated (`success`), real (`arrives`), or none
    physical: bool  # whether errors stand in metres or radians a second, too


def rankings(
    scores: ComparisonResult,
    runs: Sequence[Run],
    units: Mapping[str, Units],
    t: Texts,
    trials: Sequence[TrialResult] = (),
) -> tuple[Ranking, ...]:
    """Return a table for each group of experiments that may be compared.

    Args:
        units: by dataset, what one recorded unit of a command is.
        trials: real drives; a group with some whose policies are known shows no simulated ones.
    """
    of_experiment = {own.experiment: own for own in scores.experiments}
    runs_of = grouped(runs, lambda run: run.experiment)
    labels = group_labels(scores.groups)
    return tuple(
        _with_real_drives(_ranking(group, label, of_experiment, runs_of, units, t), trials, t)
        for group, label in zip(scores.groups, labels, strict=True)
    )


def _with_real_drives(ranking: Ranking, trials: Sequence[TrialResult], t: Texts) -> Ranking:
    """Return the table with real drives in place of simulated ones, where there are some."""
    rates = {row.experiment: real_rates(trials, row.experiment) for row in ranking.rows}
    if not any(rates.values()):
        return ranking
    rows = tuple(replace(row, success=_rates(rates[row.experiment], t)) for row in ranking.rows)
    return replace(ranking, rows=rows, driven="arrives")


def group_labels(groups: Sequence[ComparableGroup]) -> list[str]:
    """Return each group's dataset, with more where two groups share it."""
    labels = [group.dataset for group in groups]
    if len(set(labels)) < len(labels):
        labels = [f"{group.dataset} ({', '.join(group.dimensions)})" for group in groups]
    if len(set(labels)) < len(labels):
        labels = [f"{label}, {index + 1}" for index, label in enumerate(labels)]
    return labels


def ranked_names(group: ComparableGroup) -> list[str]:
    """Return a group's experiments from the lowest error to the highest.

    Those without a step that all predict have no order, and stay in that of config.yaml.
    """
    members = [
        (own.mae.value if own.mae else math.inf, own.experiment) for own in group.experiments
    ]
    return [name for _, name in sorted(members, key=lambda member: member[0])]


def _ranking(
    group: ComparableGroup,
    label: str,
    scores: dict[str, ExperimentScores],
    runs_of: dict[str, tuple[Run, ...]],
    units: Mapping[str, Units],
    t: Texts,
) -> Ranking:
    names = ranked_names(group)
    texts = shown_errors(group, scores)
    members = {own.experiment: own for own in group.experiments}
    partial = any(any(own.steps_left_out) for own in group.experiments)
    errors = {name: members[name].mae or scores[name].mae for name in names}
    # a baseline's error is over all steps of its experiment
    comparable = {name: not partial or members[name].mae is None for name in names}
    best = {name: scores[name].best_baseline for name in names}
    failed = max(mae for name in names for mae in scores[name].baselines.values())
    drawn = [best[name].mae for name in names if comparable[name]]
    axis = _axis(list(errors.values()), drawn, failed)
    rows = []
    for name in names:
        error, runs = errors[name], runs_of[name]
        mae, baseline = texts[name]
        word = standing(scores[name])
        at = axis.place(error.value)
        physical = text_in_units(runs[0].evaluation, units, "mae", "overall", error.value)
        rows.append(
            Row(
                experiment=name,
                letters="".join(members[name].letters),
                word=word,
                kind=KINDS[word],
                mae=RankingCell(mae, error.value, (error.low, error.high)),
                interval=_interval(error, mae, t),
                physical=physical,
                baseline=RankingCell(
                    f"{t.words(best[name].name)} {baseline}"
                    if comparable[name]
                    else t.words(best[name].name),
                    best[name].mae if comparable[name] else None,
                ),
                at=0.0 if at is None else at,
                beyond=error.value > axis.high,
                low=axis.place(error.low),
                high=axis.place(error.high),
                baseline_at=axis.place(best[name].mae) if comparable[name] else None,
                success=success_of(runs, t),
                language=_language(runs, t),
                seeds=_seeds(scores[name], t),
                optional=_optional(scores[name], runs, t),
            )
        )
    ranked = bool(group.pairs)
    # the experiments of a group have the same episodes, whether or not they share a step
    episodes = counted(scores[names[0]], t)
    return Ranking(
        group=group,
        caption=t(
            "ranking.caption" if ranked or len(rows) == 1 else "ranking.unranked",
            label=label,
            episodes=episodes,
        ),
        rows=tuple(rows),
        axis=axis,
        ranked=ranked,
        lettered=any(row.letters for row in rows),
        partial=partial,
        driven="success" if any(row.success.value is not None for row in rows) else "",
        physical=any(row.physical for row in rows),
    )


def _axis(errors: Sequence[MeanWithInterval], baselines: Sequence[float], failed: float) -> Axis:
    """Return a table's axis; a failure beyond the worst baseline does not squeeze the others."""
    ends = [[error.value, error.low or error.value, error.high or error.value] for error in errors]
    near = [values for values in ends if values[0] <= failed]
    limit = failed if near else math.inf
    held = [min(value, limit) for values in near or ends for value in values]
    return Axis.around([*held, *baselines])


def shown_errors(
    group: ComparableGroup, scores: Mapping[str, ExperimentScores]
) -> dict[str, tuple[str, str]]:
    """Return each experiment's error and its best baseline's, as the table and sentences show them.

    The error is that on the group's common steps, or on its own where there are none.
    """
    names = [own.experiment for own in group.experiments]
    errors = [(own.mae or scores[own.experiment].mae).value for own in group.experiments]
    baselines = [scores[name].best_baseline.mae for name in names]
    return dict(zip(names, zip(aligned(errors), aligned(baselines), strict=True), strict=True))


def _interval(error: MeanWithInterval, shown: str, t: Texts) -> str:
    """Return an interval with as many decimals as its value."""
    if error.low is None or error.high is None:
        return t("interval.none_short")
    decimals = len(shown.partition(".")[2])
    low, high = aligned([error.low, error.high], decimals)
    return t.between(low, high)


def success_of(runs: Sequence[Run], t: Texts) -> RankingCell:
    """Return the share of successes in closed loop: with its interval, or of several runs."""
    found = [run.rollouts.drivers["policy"].success for run in runs if run.rollouts is not None]
    return _rates(found, t)


def _rates(found: Sequence[Proportion] | Sequence[DriveRate], t: Texts) -> RankingCell:
    """Return a rate with its interval, or the span of several."""
    rates = [own.rate for own in found if own.rate is not None]
    if not rates:
        return RankingCell(MISSING)
    if len(found) == 1:
        ends = (found[0].low, found[0].high)
        span = t.between(*map(whole_percent, ends)).replace(" ", GLUE)
        return RankingCell(f"{whole_percent(rates[0])} ({span})", rates[0], ends)
    span = t.between(whole_percent(min(rates)), whole_percent(max(rates)))
    return RankingCell(f"{span} ({t.count(len(rates), 'run')})", sum(rates) / len(rates))


def _language(runs: Sequence[Run], t: Texts) -> str:
    return "; ".join(dict.fromkeys(t(f"said.{run.language.verdict}") for run in runs))


def _seeds(scores: ExperimentScores, t: Texts) -> RankingCell:
    folds = f" × {t.count(scores.folds, 'fold')}" if scores.folds > 1 else ""
    return RankingCell(f"{scores.seeds}{folds}", scores.seeds * scores.folds)


def _optional(scores: ExperimentScores, runs: Sequence[Run], t: Texts) -> tuple[RankingCell, ...]:
    times, trained = [run.training.total_time for run in runs], runs[0].training
    cells = {
        "skill": RankingCell(percent(scores.skill, sign=True), scores.skill),
        "image": RankingCell(t(f"use.{scores.verdict.image}")),
        "prompt": RankingCell(t(f"use.{scores.verdict.prompt}")),
        "training_time": RankingCell(
            t.between(duration(min(times)), duration(max(times))), sum(times)
        ),
        "trained": RankingCell(
            parameters(trained.parameters.trainable_total), trained.parameters.trainable_total
        ),
        "policy_size": RankingCell(size(trained.policy_bytes), trained.policy_bytes),
    }
    return tuple(cells[name] for name in OPTIONAL)

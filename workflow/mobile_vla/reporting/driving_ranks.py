"""How well open-loop measures rank experiments, and checkpoints, as driving does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mobile_vla.comparison.result import (
    ComparableGroup,
    ComparisonResult,
    ExperimentScores,
    MeasureRanks,
)
from mobile_vla.reporting.format import aligned, number, whole_percent
from mobile_vla.reporting.ranking import group_labels
from mobile_vla.statistics.correlation import FEWEST_POINTS
from mobile_vla.statistics.result import RankCorrelation
from mobile_vla.texts import Texts

DECIMALS = 2  # of a coefficient


@dataclass(frozen=True)
class RankRow:
    """A measure of some experiments, or of a run's checkpoints."""

    experiment: str  # whose checkpoints; empty for experiments
    label: str
    measure: str
    found: RankCorrelation
    coefficient: str
    interval: str


@dataclass(frozen=True)
class RankTable:
    """What is shown of a group's experiments, or of all runs' checkpoints."""

    caption: str
    rows: tuple[RankRow, ...]  # none where no coefficient can be given
    sentences: tuple[str, ...]


def rank_tables(scores: ComparisonResult, t: Texts) -> list[RankTable]:
    """Return a table for each group of experiments that were driven, then one of checkpoints."""
    of_experiment = {own.experiment: own for own in scores.experiments}
    labels = group_labels(scores.groups)
    found = [
        _of_experiments(group, label, of_experiment[group.experiments[0].experiment], t)
        for group, label in zip(scores.groups, labels, strict=True)
        if group.driven is not None
    ]
    return [*found, *_of_checkpoints(scores, t)]


def _of_experiments(
    group: ComparableGroup, label: str, first: ExperimentScores, t: Texts
) -> RankTable:
    assert group.driven is not None
    points = len(group.driven.success)
    few = points < FEWEST_POINTS
    rows = [] if few else [_row("", "", own, first, t) for own in group.driven.ranks]
    sentences = list(_leaders(group, t))
    if few:
        sentences.append(t("ranks.few", n=points, fewest=FEWEST_POINTS, dataset=label))
    return RankTable(
        t("ranks.experiments", n=points, dataset=label),
        tuple(rows),
        tuple(sentences),
    )


def _of_checkpoints(scores: ComparisonResult, t: Texts) -> Iterator[RankTable]:
    rows, few = [], []
    for own in scores.experiments:
        for run in own.runs:
            label = f"{own.experiment} {run.run}" if len(own.runs) > 1 else own.experiment
            if any(ranks.correlation.why_none == "few" for ranks in run.checkpoints):
                points = run.checkpoints[0].correlation.points
                few.append(t("ranks.few_epochs", run=label, n=points, fewest=FEWEST_POINTS))
                continue
            rows += [_row(own.experiment, label, ranks, own, t) for ranks in run.checkpoints]
    if rows or few:
        notes = [t("ranks.neighbours")] if rows else []
        yield RankTable(t("ranks.checkpoints"), tuple(rows), (*notes, *few))


def _row(
    experiment: str, label: str, ranks: MeasureRanks, scores: ExperimentScores, t: Texts
) -> RankRow:
    found = ranks.correlation
    ends = _signed([found.low, found.high])
    interval = t("ranks.no_interval") if found.low is None else t.between(*ends)
    if found.why_none == "constant":
        interval = t("ranks.constant")
    at = next((own.tolerance for own in scores.measures if own.tolerance is not None), None)
    return RankRow(
        experiment,
        label,
        t(f"measure.{ranks.measure}", at="" if at is None else number(at)),
        found,
        _signed([found.value])[0],
        interval,
    )


def _signed(values: Sequence[float | None]) -> list[str]:
    texts = aligned(values, DECIMALS)
    return [
        f"+{text}" if value is not None and round(value, DECIMALS) > 0 else text
        for value, text in zip(values, texts, strict=True)
    ]


def _leaders(group: ComparableGroup, t: Texts) -> Iterator[str]:
    """Say who has the lowest error and who arrives most often, where these are two."""
    assert group.driven is not None
    driven, success, lowest = group.driven, group.driven.success, group.driven.lowest
    most = max(success, key=success.__getitem__)
    if not group.pairs or success[most] <= success[lowest]:
        return
    yield t(
        "ranks.differ",
        lowest=lowest,
        own=whole_percent(success[lowest]),
        most=most,
        rate=whole_percent(success[most]),
    )
    gap = driven.against_lowest.get(most)
    if gap is None:  # they drove in other scenes
        return
    points, *ends = aligned([100 * share for share in (gap.mean, gap.low or 0, gap.high or 0)], 1)
    if gap.low is None:
        yield t("ranks.few_differ", points=points)
    else:
        text = "ranks.beyond_chance" if most in driven.more_often else "ranks.chance"
        yield t(text, points=points, between=t.between(*ends))

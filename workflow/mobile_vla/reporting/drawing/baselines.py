"""Figures of policies beside baselines: errors by dimension, and differences with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from mobile_vla.comparison.result import ExperimentScores
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.reporting.drawing.style import (
    DASHED,
    Drawn,
    beside,
    hide,
    lines_down,
    mark,
    new_figure,
)
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT, PAPER
from mobile_vla.reporting.selection import baselines_of, populations
from mobile_vla.reporting.verdict import between, scored_on
from mobile_vla.texts import Texts

BAR, LINE = 0.27, 0.25  # inches
PANELS = 6  # sets of steps
COLUMNS = 2  # of panels of differences
NAMED = 6  # runs that a sentence names one by one; of more it gives the range
# Keeps a number readable where the line of the best baseline crosses it.
BACKING = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}


@dataclass(frozen=True)
class _Bar:
    label: str
    color: str
    mae: dict[str, float]
    baseline: bool


def error_by_dimension(material: Material) -> Drawn:
    """Draw a column a dimension, and a row for each set of steps that was scored.

    Runs that were scored on different steps stand in different rows, each with the baselines on its
    own steps, since their errors must not be compared.
    """
    words, sets = material.labels, populations(material.shown)
    groups = sets[:PANELS]
    dimensions = list(
        dict.fromkeys(name for group in groups for name in group[0].evaluation.dimensions)
    )
    rows = [_bars(group, material) for group in groups]
    heights = [0.75 + BAR * len(bars) for bars in rows]
    figure = new_figure(0.2 + sum(heights))
    grid = figure.subplots(
        len(groups), 1 + len(dimensions), squeeze=False, sharex=True, height_ratios=heights
    )
    for axes, group, bars in zip(grid, groups, rows, strict=True):
        scored = group[0].evaluation
        for ax, dimension in zip(axes, ["overall", *dimensions], strict=True):
            if dimension not in bars[0].mae:
                hide([ax])
                continue
            _errors(ax, bars, dimension, words, labelled=ax is axes[0])
        _head(axes[0], _population(scored, words), words)
    for ax in grid[-1]:
        ax.set_xlabel(words("drawn.mae"))
    longest = max(value for bars in rows for bar in bars for value in bar.mae.values())
    grid[0][0].set_xlim(0, 1.3 * longest or 1)  # shared by all; the rest is room for the numbers
    finding = " ".join(_finding(group, material.texts) for group in groups)
    runs = [", ".join(run.label for run in group) for group in sets]
    notes = (material.left_out, material.no_room_for(runs, PANELS))
    return Drawn(figure, finding, " ".join(filter(None, notes)))


def _finding(runs: Sequence[Run], t: Texts) -> str:
    scored = runs[0].evaluation
    if len(runs) > NAMED:
        errors = [run.evaluation.policy_mae for run in runs]
        values = t.between(number(min(errors)), number(max(errors)))
        policies = f"{t.count(len(runs), 'policy')} {values}"
    else:
        policies = ", ".join(f"{run.label} {number(run.evaluation.policy_mae)}" for run in runs)
    lowest = min((run.evaluation.best_baseline for run in runs), key=lambda best: best.mae)
    return t(
        "error_by_dimension.finding",
        policies=policies,
        baseline=f"{t.words(lowest.name)} {number(lowest.mae)}",
        steps=t.count(scored.steps, "chunk step"),
        scored=scored_on(scored, t),
    )


def _population(scored: EvaluationResult, words: Texts) -> str:
    """Return the steps that a row of panels is about."""
    role: str = scored.scored_on
    if scored.folds > 1:
        role += f", {words('data.fold', fold=scored.fold)}"
    if scored.selected_on_scored:
        role += words("scored.selected")
    steps, episodes = (
        words.count(scored.steps, "chunk step"),
        words.count(scored.episodes, "episode"),
    )
    return f"n = {steps}, {episodes} ({role})"


def _head(ax: Axes, text: str, words: Texts) -> None:
    """Write a line above a row of panels, over the title of its first; as wide as it likes."""
    ax.set_title(f"\n{words.words('overall')}")  # keeps the height of the line
    ax.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 19),
        textcoords="offset points",
        weight="bold",
        in_layout=False,
    )


def _bars(group: Sequence[Run], material: Material) -> list[_Bar]:
    policies = [
        _Bar(run.label, material.color(run), run.evaluation.policy.mae, baseline=False)
        for run in group
    ]
    return policies + [
        _Bar(name, BASELINE, value.mae, baseline=True)
        for name, value in baselines_of(group, material.labels).items()
    ]


def _errors(ax: Axes, bars: Sequence[_Bar], dimension: str, words: Texts, labelled: bool) -> None:
    title = words.words("overall") if dimension == "overall" else dimension
    values = [bar.mae[dimension] for bar in bars]
    drawn = ax.barh(range(len(bars)), values, color=[bar.color for bar in bars], height=0.72)
    for bar, rectangle in zip(bars, drawn, strict=True):
        mark(rectangle, f"{bar.label}, {title}: MAE {number(bar.mae[dimension])}")
    for place, value in enumerate(values):
        beside(ax, value, place, number(value), 3, bbox=BACKING)
    best = min(bar.mae[dimension] for bar in bars if bar.baseline)
    ax.axvline(best, color=FAINT, lw=1, ls=DASHED)
    lines_down(ax, [bar.label for bar in bars] if labelled else [""] * len(bars))
    ax.set_title(title)


def differences(material: Material) -> Drawn:
    """Draw each experiment's error less each baseline's: a panel an experiment."""
    t = material.texts
    shown = {run.experiment for run in material.shown}
    judged = [scores for scores in material.scores.experiments if scores.experiment in shown]
    columns = min(COLUMNS, len(judged))
    rows = -(-len(judged) // columns)
    lines = max(len(scores.differences) for scores in judged)
    figure = new_figure(0.4 + rows * (0.65 + LINE * lines))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for ax, scores in zip(grid.flat, judged, strict=False):
        _differences(ax, scores, material.color(scores), material.labels)
    hide(list(grid.flat[len(judged) :]))
    for ax in grid[-2, -1:] if rows > 1 and len(judged) % columns else []:
        ax.tick_params(labelbottom=True)  # nothing below it has the numbers
    figure.supxlabel(material.labels("drawn.difference"), fontsize=9)
    parts = [
        t(
            "differences.one",
            experiment=scores.experiment,
            baseline=t.words(scores.best_baseline.name),
            difference=between(scores.differences[scores.best_baseline.name], t),
            n=scores.episodes,
            episodes=t.count(scores.episodes, "episode"),
        )
        for scores in judged
    ]
    return Drawn(figure, t("differences.finding", parts="; ".join(parts)), material.left_out)


def _differences(ax: Axes, scores: ExperimentScores, color: str, t: Texts) -> None:
    labels = []
    for place, (name, gap) in enumerate(scores.differences.items()):
        control, words = name in scores.controls, t.words(name)
        labels.append(f"{words} ({t('evaluation.control')})" if control else words)
        shade = BASELINE if control else color
        less = t("evaluation.less", one=scores.experiment, other=words)
        text = f"{less}: {number(gap.value)}"
        if gap.low is not None and gap.high is not None:
            (bar,) = ax.plot([gap.low, gap.high], [place, place], color=shade, lw=2.2)
            text += f" ({t.between(number(gap.low), number(gap.high))})"
            mark(bar, text)
        (dot,) = ax.plot(gap.value, place, "o", color=shade, ms=5)
        mark(dot, text)
    ax.axvline(0, color=FAINT, lw=1)
    lines_down(ax, labels)
    ax.set_title(f"{scores.experiment} (n = {t.count(scores.episodes, 'episode')})")

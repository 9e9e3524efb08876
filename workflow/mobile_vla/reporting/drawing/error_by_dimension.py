"""Mean absolute error of policies and baselines, overall and for each dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import hide, new_figure
from mobile_vla.reporting.format import UNIT, count, number, span
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT, PAPER, color_of
from mobile_vla.reporting.selection import baselines_of, populations
from mobile_vla.reporting.texts import Texts
from mobile_vla.reporting.verdict import scored_on

BAR = 0.27  # inches
PANELS = 6  # sets of steps
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
    """Draw the figure: a column a dimension; a row for each set of steps that was scored.

    Runs that were scored on different steps stand in different rows, each with the baselines on its
    own steps, since their errors must not be compared.
    """
    t, names = material.texts, material.experiments
    groups = populations(material.shown)[:PANELS]
    dimensions = list(
        dict.fromkeys(name for group in groups for name in group[0].evaluation.dimensions)
    )
    bars = [_bars(group, names, material.labels) for group in groups]
    heights = [0.75 + BAR * len(own) for own in bars]
    figure = new_figure(0.2 + sum(heights))
    grid = figure.subplots(
        len(groups), 1 + len(dimensions), squeeze=False, sharex=True, height_ratios=heights
    )
    for row, (group, own) in enumerate(zip(groups, bars, strict=True)):
        scored = group[0].evaluation
        for ax, dimension in zip(grid[row], ["overall", *dimensions], strict=True):
            if dimension not in own[0].mae:
                hide([ax])
                continue
            _panel(ax, own, dimension, first=ax is grid[row][0])
        said = f"{count(scored.steps, 'chunk step')}, {count(scored.episodes, 'episode')}"
        selected = ", which also chose the checkpoint" if scored.selected_on_scored else ""
        fold = f", fold {scored.fold}" if scored.folds > 1 else ""
        _head(grid[row][0], f"n = {said} ({scored.scored_on}{fold}{selected})")
    for ax in grid[-1]:
        ax.set_xlabel(f"MAE ({UNIT})")
    longest = max(value for own in bars for bar in own for value in bar.mae.values())
    grid[0][0].set_xlim(0, 1.3 * longest or 1)  # shared by all; the rest is room for the numbers
    caption = f"{t('error_by_dimension.caption')} {material.left_out}".strip()
    finding = " ".join(_finding(group, t) for group in groups)
    return Drawn(figure, t("error_by_dimension.title"), caption, finding)


def _finding(runs: Sequence[Run], t: Texts) -> str:
    scored = runs[0].evaluation
    maes = [(run.label, run.evaluation.policy_mae) for run in runs]
    if len(maes) > NAMED:
        policies, values = t.count(len(maes), "policy"), span([mae for _, mae in maes])
        own = f"{policies} {values}"
    else:
        own = ", ".join(f"{label} {number(mae)}" for label, mae in maes)
    lowest = min((run.evaluation.best_baseline for run in runs), key=lambda found: found.mae)
    return t(
        "error_by_dimension.finding",
        policies=own,
        baseline=f"{t.words(lowest.name)} {number(lowest.mae)}",
        steps=t.count(scored.steps, "chunk step"),
        scored=scored_on(scored, t),
    )


def _head(ax: Axes, text: str) -> None:
    """Write a line above a row of panels, over the title of its first; as wide as it likes."""
    ax.set_title("\noverall")  # keeps the height of the line
    ax.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 19),
        textcoords="offset points",
        weight="bold",
        in_layout=False,
    )


def _bars(group: Sequence[Run], names: Sequence[str], labels: Texts) -> list[_Bar]:
    policies = [
        _Bar(run.label, color_of(run.experiment, names), run.evaluation.policy.mae, baseline=False)
        for run in group
    ]
    return policies + [
        _Bar(name, BASELINE, value.mae, baseline=True)
        for name, value in baselines_of(group, labels).items()
    ]


def _panel(ax: Axes, bars: Sequence[_Bar], dimension: str, first: bool) -> None:
    places = range(len(bars))
    values = [bar.mae[dimension] for bar in bars]
    drawn = ax.barh(places, values, color=[bar.color for bar in bars], height=0.72)
    for bar, rectangle in zip(bars, drawn, strict=True):
        mark(rectangle, f"{bar.label}, {dimension}: MAE {number(bar.mae[dimension])}")
    for place, value in zip(places, values, strict=True):
        ax.annotate(
            number(value),
            (value, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox=BACKING,
        )
    best = min(bar.mae[dimension] for bar in bars if bar.baseline)
    ax.axvline(best, color=FAINT, lw=1, ls=(0, (3, 2)))
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_yticks(places, [bar.label for bar in bars] if first else [""] * len(bars))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_title(dimension)

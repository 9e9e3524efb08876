"""Figures of sweeps: a line for one swept setting, heat maps for two and more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from mobile_vla.reporting.drawing.style import (
    CELL_INK,
    DASHED,
    Drawn,
    heat_axes,
    heat_cell,
    hide,
    mark,
    marks,
    new_figure,
)
from mobile_vla.reporting.format import number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import COLORS, FAINT, LIGHTEST
from mobile_vla.reporting.sweeps import Point, SweepTable
from mobile_vla.texts import Texts

COLUMNS = 2  # heat maps beside each other
LINE, CELL = 2.9, 0.42  # inches: height of a line's panel, of a heat map's row
LIGHT = 0.6  # depth of colour above which a cell's text is set in white


def sweeps(material: Material) -> Drawn:
    """Draw a panel for each sweep; of more than two settings, one for each rest."""
    t, words, tables = material.texts, material.labels, material.sweeps
    panels = [panel for sweep in tables for panel in _panels(sweep)]
    rows = -(-len(panels) // COLUMNS)
    tallest = max(len(sweep.axis(sweep.keys[0])) if len(sweep.keys) > 1 else 0 for sweep in tables)
    figure = new_figure(rows * max(LINE, 1.3 + CELL * tallest))
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for ax, (sweep, title, points) in zip(axes, panels, strict=False):
        draw = _line if len(sweep.keys) == 1 else _heat_map
        draw(ax, sweep, points, words)
        ax.set_title(title)
    hide(list(axes[len(panels) :]))
    return Drawn(figure, " ".join(_finding(sweep, t) for sweep in tables))


def _panels(sweep: SweepTable) -> Iterator[tuple[SweepTable, str, list[Point]]]:
    """Yield panels: all points, or those that agree in the settings beyond the first two."""
    rest = sweep.keys[2:]
    for values in itertools.product(*(sweep.axis(key) for key in rest)):
        fixed = dict(zip(rest, values, strict=True))
        points = [point for point in sweep.points if fixed.items() <= point.values.items()]
        if points:
            title = ", ".join([sweep.name, *(f"{key} {value}" for key, value in fixed.items())])
            yield sweep, title, points


def _line(ax: Axes, sweep: SweepTable, points: list[Point], words: Texts) -> None:
    (key,) = sweep.keys
    places = list(range(len(points)))
    values = [point.mae.value for point in points]
    for place, point in zip(places, points, strict=True):
        if point.mae.low is not None and point.mae.high is not None:
            ax.plot([place, place], [point.mae.low, point.mae.high], color=COLORS[0], lw=1.2)
    ax.plot(places, values, "o-", color=COLORS[0], ms=5)
    baselines = [point.baseline for point in points]
    label = words("drawn.best_baseline")
    ax.plot(places, baselines, color=FAINT, lw=1.2, ls=DASHED, label=label)
    marks(ax, places, values, [_said(point, words) for point in points])
    ax.set_xticks(places, [point.values[key] for point in points])
    ax.margins(x=0.1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(key)
    ax.set_ylabel(words("drawn.mae"))
    ax.legend(loc="best")


def _heat_map(ax: Axes, sweep: SweepTable, points: list[Point], words: Texts) -> None:
    down, across = sweep.keys[:2]
    rows, columns = sweep.axis(down), sweep.axis(across)
    low, high = sweep.best.mae.value, sweep.worst.mae.value
    shades = LinearSegmentedColormap.from_list("own", [LIGHTEST, COLORS[0]])
    for point in points:
        row, column = rows.index(point.values[down]), columns.index(point.values[across])
        depth = (high - point.mae.value) / (high - low) if high > low else 0.0  # low is good
        mark(heat_cell(ax, row, column, shades(0.9 * depth)), _said(point, words))
        ink = "white" if 0.9 * depth > LIGHT else CELL_INK
        text = number(point.mae.value)
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    heat_axes(ax, rows, columns)
    ax.set_xlabel(across)
    ax.set_ylabel(down)


def _said(point: Point, words: Texts) -> str:
    low, high = point.mae.low, point.mae.high
    known = low is not None and high is not None
    interval = f" ({words.between(number(low), number(high))})" if known else ""
    trained = (
        f"{words.count(point.windows, 'train window')}, "
        f"{words.count(point.steps, 'optimiser step')}"
    )
    return f"{point.experiment}: {number(point.mae.value)}{interval}, {trained}"


def _finding(sweep: SweepTable, t: Texts) -> str:
    def where(point: Point) -> str:
        return ", ".join(f"{key} {value}" for key, value in point.values.items())

    return t(
        "sweeps.finding",
        name=sweep.name,
        combinations=t.count(len(sweep.points), "combination"),
        low=number(sweep.best.mae.value),
        best=where(sweep.best),
        high=number(sweep.worst.mae.value),
        worst=where(sweep.worst),
    )

"""Sweeps: a line for one swept setting, heat maps for two and more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from mobile_vla.reporting.drawing.drawn import Drawn, mark, marks
from mobile_vla.reporting.drawing.style import hide, new_figure
from mobile_vla.reporting.format import UNIT, number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import COLORS, FAINT, PAPER
from mobile_vla.reporting.sweeps import Point, SweepTable
from mobile_vla.reporting.texts import Texts

COLUMNS = 2  # heat maps beside each other
LINE, CELL = 2.9, 0.42  # inches: height of a line's panel, of a heat map's row
LIGHT = 0.6  # depth of colour above which a cell's text is set in white


def sweeps(material: Material) -> Drawn:
    """Draw the figure: a panel for each sweep; of more than two settings, one for each rest."""
    t, tables = material.texts, material.sweeps
    panels = [panel for own in tables for panel in _panels(own)]
    rows = -(-len(panels) // COLUMNS)
    tallest = max(len(own.axis(own.keys[0])) if len(own.keys) > 1 else 0 for own in tables)
    figure = new_figure(rows * max(LINE, 1.3 + CELL * tallest))
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for ax, (own, title, points) in zip(axes, panels, strict=False):
        if len(own.keys) == 1:
            _line(ax, own, points)
        else:
            _heat_map(ax, own, points)
        ax.set_title(title)
    hide(list(axes[len(panels) :]))
    finding = " ".join(_finding(own, t) for own in tables)
    return Drawn(figure, t("sweeps.title"), t("sweeps.caption"), finding)


def _panels(own: SweepTable) -> Iterator[tuple[SweepTable, str, list[Point]]]:
    """Yield panels: all points, or those that agree in the settings beyond the first two."""
    rest = own.keys[2:]
    for values in itertools.product(*(own.axis(key) for key in rest)):
        point = dict(zip(rest, values, strict=True))
        points = [one for one in own.points if point.items() <= one.values.items()]
        if points:
            title = ", ".join([own.name, *(f"{key} {value}" for key, value in point.items())])
            yield own, title, points


def _line(ax: Axes, own: SweepTable, points: list[Point]) -> None:
    (key,) = own.keys
    places = range(len(points))
    values = [point.mae.value for point in points]
    for place, point in zip(places, points, strict=True):
        if point.mae.low is not None and point.mae.high is not None:
            ax.plot([place, place], [point.mae.low, point.mae.high], color=COLORS[0], lw=1.2)
    ax.plot(places, values, "o-", color=COLORS[0], ms=5)
    baselines = [point.baseline for point in points]
    ax.plot(places, baselines, color=FAINT, lw=1.2, ls=(0, (3, 2)), label="best baseline")
    marks(ax, list(places), values, [_said(point) for point in points])
    ax.set_xticks(list(places), [point.values[key] for point in points])
    ax.margins(x=0.1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(key)
    ax.set_ylabel(f"MAE ({UNIT})")
    ax.legend(loc="best")


def _heat_map(ax: Axes, own: SweepTable, points: list[Point]) -> None:
    down, across = own.keys[:2]
    rows, columns = own.axis(down), own.axis(across)
    low, high = own.best.mae.value, own.worst.mae.value
    shades = LinearSegmentedColormap.from_list("own", [PAPER, COLORS[0]])
    for point in points:
        row, column = rows.index(point.values[down]), columns.index(point.values[across])
        depth = (high - point.mae.value) / (high - low) if high > low else 0.0  # low is good
        cell = ax.fill(
            column + np.array([-0.48, 0.48, 0.48, -0.48]),
            row + np.array([-0.47, -0.47, 0.47, 0.47]),
            facecolor=shades(0.9 * depth),
            edgecolor="none",
        )[0]
        mark(cell, _said(point))
        ink = "white" if 0.9 * depth > LIGHT else "#1b2531"  # stays dark on the pale cell
        text = number(point.mae.value)
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(across)
    ax.set_ylabel(down)


def _said(point: Point) -> str:
    low, high = point.mae.low, point.mae.high
    interval = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
    trained = f"{point.windows:,} windows, {point.steps:,} steps"
    return f"{point.experiment}: {number(point.mae.value)}{interval}, {trained}"


def _finding(own: SweepTable, t: Texts) -> str:
    def where(point: Point) -> str:
        return ", ".join(f"{key} {value}" for key, value in point.values.items())

    return t(
        "sweeps.finding",
        name=own.name,
        combinations=t.count(len(own.points), "combination"),
        low=number(own.best.mae.value),
        best=where(own.best),
        high=number(own.worst.mae.value),
        worst=where(own.worst),
    )

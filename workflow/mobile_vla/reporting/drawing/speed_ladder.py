"""Seconds of an epoch done the plain way, and with each thing that is done instead."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import duration, number
from mobile_vla.reporting.load import Run, ladders
from mobile_vla.reporting.palette import BASELINE, FAINT, color_of
from mobile_vla.reporting.records import Rung

BAR = 0.34  # inches a bar
FRAME = 0.75  # inches of a panel's title and axis


def draw_speed_ladder(runs: Sequence[Run]) -> Figure:
    """Return the figure: a panel for each experiment that was compared with the plain way."""
    names = list(dict.fromkeys(run.experiment for run in runs))
    found = ladders(runs)
    heights = [FRAME + BAR * len(run.timing.ladder) for run in found]
    figure = new_figure(0.2 + sum(heights))
    axes = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, run in zip(axes, found, strict=True):
        _panel(ax, run.timing.ladder, color_of(run.experiment, names))
        busy = " (machine was busy)" if run.timing.contended else ""
        ax.set_title(f"{run.experiment}{busy}")
    axes[-1].set_xlabel("seconds per epoch, training steps alone")
    return figure


def _panel(ax: Axes, ladder: Sequence[Rung], color: str) -> None:
    for place, rung in enumerate(ladder):
        ax.barh(place, rung.seconds_per_epoch, height=0.7, color=BASELINE if place == 0 else color)
        text = duration(rung.seconds_per_epoch)
        if place:
            text += f"   {number(rung.speedup, 2)}× as fast"
            if rung.flops_ratio is not None:
                text += f", operations ÷ {number(rung.flops_ratio, 2)}"
        ax.annotate(
            text,
            (rung.seconds_per_epoch, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=FAINT,
        )
    labels = [ladder[0].name, *(f"+ {rung.name}" for rung in ladder[1:])]
    ax.set_yticks(range(len(ladder)), labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(ladder) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.12)
    ax.set_xlim(left=0)

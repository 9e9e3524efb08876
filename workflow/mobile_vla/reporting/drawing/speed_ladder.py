"""Seconds of an epoch done the plain way, and with each thing that is done instead."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import duration, number
from mobile_vla.reporting.load import Run, ladders
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT
from mobile_vla.reporting.records import Rung
from mobile_vla.reporting.texts import Texts

BAR = 0.34  # inches a bar
FRAME = 0.75  # inches of a panel's title and axis


def speed_ladder(material: Material) -> Drawn:
    """Draw the figure: a panel for each experiment that was compared with the plain way."""
    t, found = material.texts, ladders(material.runs)
    heights = [FRAME + BAR * len(run.timing.ladder) for run in found]
    figure = new_figure(0.2 + sum(heights))
    axes = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, run in zip(axes, found, strict=True):
        _panel(ax, run.timing.ladder, material.color(run))
        busy = " (machine was busy)" if run.timing.contended else ""
        ax.set_title(f"{run.experiment}{busy}")
    axes[-1].set_xlabel("seconds per epoch, training steps alone")
    finding = " ".join(_finding(run, t) for run in found)
    return Drawn(figure, t("speed_ladder.title"), t("speed_ladder.caption"), finding)


def _finding(run: Run, t: Texts) -> str:
    first, last = run.timing.ladder[0], run.timing.ladder[-1]
    fastest = max(run.timing.ladder, key=lambda rung: rung.speedup)
    text = t(
        "speed_ladder.finding",
        experiment=run.experiment,
        first=duration(first.seconds_per_epoch),
        fastest=duration(fastest.seconds_per_epoch),
        rung=fastest.name,
        times=number(fastest.speedup, 2),
    )
    if fastest is not last:
        text += " " + t("speed_ladder.last", rung=last.name, times=number(last.speedup, 2))
    return text


def _panel(ax: Axes, ladder: Sequence[Rung], color: str) -> None:
    for place, rung in enumerate(ladder):
        shade = BASELINE if place == 0 else color
        (bar,) = ax.barh(place, rung.seconds_per_epoch, height=0.7, color=shade)
        mark(bar, f"{rung.name}: {duration(rung.seconds_per_epoch)} an epoch")
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

"""Validation loss less training loss over the epochs: when it grows, a policy learns by heart."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mobile_vla.reporting.drawing.drawn import Drawn, marks
from mobile_vla.reporting.drawing.style import new_figure, stroke
from mobile_vla.reporting.epochs import gaps
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT


def overfitting_gap(material: Material) -> Drawn:
    """Draw the figure: a line a run."""
    t = material.texts
    figure = new_figure(2.7)
    ax = figure.subplots()
    handles, parts = {}, []
    for run in material.shown:
        _line(ax, run, material.color(run), stroke(run.experiment, material.experiments))
        style = stroke(run.experiment, material.experiments)
        handles[run.experiment] = Line2D(
            [], [], color=material.color(run), ls=style, label=run.experiment
        )
        own = gaps(run.epochs)
        if own:
            parts.append(f"{run.label} {number(own[-1][1])}")
    ax.axhline(0, color=FAINT, lw=1)
    ax.set_xlabel("epoch")
    ax.set_ylabel("val loss − train loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(handles=list(handles.values()), loc="center left", bbox_to_anchor=(1.01, 0.5))
    finding = (
        t("overfitting_gap.finding", parts=", ".join(parts)) if parts else t("loss_curves.none")
    )
    caption = f"{t('overfitting_gap.caption')} {material.left_out}".strip()
    return Drawn(figure, t("overfitting_gap.title"), caption, finding)


def _line(ax: Axes, run: Run, color: str, style: str) -> None:
    own = gaps(run.epochs)
    x, y = [epoch for epoch, _ in own], [gap for _, gap in own]
    ax.plot(x, y, color=color, ls=style, marker="o" if len(x) == 1 else "", ms=3)
    said = [f"{run.label}, epoch {epoch}: {number(gap)}" for epoch, gap in own]
    marks(ax, x, y, said)

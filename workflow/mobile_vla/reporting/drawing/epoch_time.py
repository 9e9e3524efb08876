"""Seconds per epoch: as measured in training, and as projected from a few timed steps."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import count, duration
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT

NAMED = 6  # runs that a sentence names one by one; of more it gives the range
HEIGHT = 0.38  # of a bar; a run has two


def epoch_time(material: Material) -> Drawn:
    """Draw the figure: for each run a bar for training, for its experiment one for timing."""
    t, runs = material.texts, material.shown
    figure = new_figure(1.0 + 0.52 * len(runs))
    ax = figure.subplots()
    for place, run in enumerate(runs):
        color = material.color(run)
        seconds = run.training.avg_epoch_time
        epochs = count(len(run.training.epoch_times), "epoch")
        (bar,) = ax.barh(place - HEIGHT / 2, seconds, height=HEIGHT, color=color)
        mark(bar, f"{run.label}: {duration(seconds)} measured (mean of {epochs})")
        _say(ax, seconds, place - HEIGHT / 2, f"{duration(seconds)} (mean of {epochs})")
        if run.timing.run == run.run:
            projected = run.timing.seconds_per_epoch
            ax.barh(
                *(place + HEIGHT / 2, projected),
                height=HEIGHT,
                facecolor="none",
                edgecolor=color,
                hatch="////",
                linewidth=0.8,
            )
            busy = ", machine was busy" if run.timing.contended else ""
            said = f"{duration(projected)} ({count(run.timing.steps, 'step')}{busy})"
            _say(ax, projected, place + HEIGHT / 2, said)
    ax.set_yticks(range(len(runs)), [run.label for run in runs])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(runs) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.32)
    ax.set_xlim(left=0)
    ax.set_xlabel("seconds per epoch")
    keys = [
        Patch(facecolor=FAINT, label="measured in training"),
        Patch(facecolor="none", edgecolor=FAINT, hatch="////", label="projected from timed steps"),
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=2)
    if len(runs) > NAMED:
        times = [run.training.avg_epoch_time for run in runs]
        between = t.between(duration(min(times)), duration(max(times)))
        finding = t("epoch_time.range", time=between, runs=t.count(len(runs), "run"))
    else:
        parts = [
            t(
                "epoch_time.one",
                run=run.label,
                measured=duration(run.training.avg_epoch_time),
                projected=duration(run.timing.seconds_per_epoch),
            )
            for run in runs
        ]
        finding = t("epoch_time.finding", parts="; ".join(parts))
    caption = f"{t('epoch_time.caption')} {material.left_out}".strip()
    return Drawn(figure, t("epoch_time.title"), caption, finding)


def _say(ax: Axes, x: float, y: float, text: str) -> None:
    ax.annotate(
        text,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=FAINT,
    )

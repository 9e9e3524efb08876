"""Seconds per epoch: as measured in training, and as projected from a few timed steps."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import count, duration
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.palette import FAINT, color_of

HEIGHT = 0.38  # of a bar; a run has two


def draw_epoch_time(runs: Sequence[Run]) -> Figure:
    """Return the figure: for each run a bar for training, for its experiment one for timing."""
    names = list(dict.fromkeys(run.experiment for run in runs))
    figure = new_figure(1.0 + 0.52 * len(runs))
    ax = figure.subplots()
    for place, run in enumerate(runs):
        color = color_of(run.experiment, names)
        seconds = run.training.avg_epoch_time
        epochs = count(len(run.training.epoch_times), "epoch")
        ax.barh(place - HEIGHT / 2, seconds, height=HEIGHT, color=color)
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
    return figure


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

"""Training and validation loss over the epochs, one small panel an experiment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from mobile_vla.reporting.drawing.style import WIDTH, hide, new_figure
from mobile_vla.reporting.format import span
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.palette import FAINT, color_of

COLUMNS = 4
PANEL = 2.1  # inches


def draw_loss_curves(runs: Sequence[Run]) -> Figure:
    """Return the figure; all panels share their axes, and an experiment's runs share a panel."""
    names = list(dict.fromkeys(run.experiment for run in runs))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    width = WIDTH if columns > 1 else 5.5
    figure = new_figure(0.75 + PANEL * rows + (0.6 if rows == 1 else 0), width)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for name, ax in zip(names, grid.flat, strict=False):
        _panel(ax, name, [run for run in runs if run.experiment == name], color_of(name, names))
    hide(list(grid.flat[len(names) :]))
    for ax in grid[:, 0]:
        ax.set_ylabel("Huber loss (normalised)")
    for column in range(columns):
        lowest = [ax for ax in grid[:, column] if ax.get_visible()][-1]
        lowest.set_xlabel("epoch")
        lowest.tick_params(labelbottom=True)
    keys = [
        Line2D([], [], color=FAINT, ls="-", label="validation"),
        Line2D([], [], color=FAINT, ls=(0, (2, 1.5)), lw=1.2, label="training"),
        Line2D([], [], color=FAINT, ls="", marker="o", ms=5, label="best epoch"),
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=3)
    return figure


def _panel(ax: Axes, name: str, runs: Sequence[Run], color: str) -> None:
    for run in runs:
        epochs = [epoch.epoch for epoch in run.epochs]
        train = [np.nan if e.train_loss is None else e.train_loss for e in run.epochs]
        val = [np.nan if e.val_loss is None else e.val_loss for e in run.epochs]
        alone = "o" if len(epochs) == 1 else ""  # a line of one point would not be seen
        ax.plot(epochs, train, color=color, ls=(0, (2, 1.5)), lw=1.2, marker=alone, ms=3)
        ax.plot(epochs, val, color=color, marker=alone, ms=3)
        best = [e for e in run.epochs if e.epoch == run.training.best_epoch]
        for epoch in best:
            if epoch.val_loss is not None:
                ax.plot(epoch.epoch, epoch.val_loss, "o", color=color, ms=5)
    losses = [run.training.best_val_loss for run in runs if run.training.best_val_loss is not None]
    several = f" ({len(runs)} runs)" if len(runs) > 1 else ""
    ax.set_title(name + several, color=color, fontsize=9 if len(name) < 22 else 7)
    if losses:
        # A number in the empty corner saves reading it off the axis.
        ax.text(
            *(0.97, 0.93, f"best {span(losses)}"),
            transform=ax.transAxes,
            ha="right",
            va="top",
            color=FAINT,
        )
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))

"""Figures of the training: losses over the epochs, and validation less training loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from mobile_vla.reporting.drawing.style import (
    WIDTH,
    Drawn,
    hide,
    legend_beside,
    marks,
    new_figure,
    nothing,
)
from mobile_vla.reporting.format import number, percent
from mobile_vla.reporting.load import Run, epoch_rows, grouped
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT
from mobile_vla.texts import Texts

COLUMNS = 4
PANEL = 2.1  # inches
DOTTED = (0, (2, 1.5))
NAMED = 6  # runs that a sentence names one by one; of more it gives the range


def loss_curves(material: Material) -> Drawn:
    """Draw a panel an experiment; all share their axes, and an experiment's seeds are a band."""
    runs, t, words = material.shown, material.texts, material.labels
    experiments = grouped(runs, lambda run: run.experiment)
    columns = min(COLUMNS, len(experiments))
    rows = -(-len(experiments) // columns)
    width = WIDTH if columns > 1 else 5.5
    figure = new_figure(0.75 + PANEL * rows + (0.6 if rows == 1 else 0), width)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for (name, members), ax in zip(experiments.items(), grid.flat, strict=False):
        _losses(ax, name, members, material.color(members[0]), words)
    hide(list(grid.flat[len(experiments) :]))
    for ax in grid[:, 0]:
        ax.set_ylabel(words("loss_curves.axis"))
    for column in range(columns):
        lowest = [ax for ax in grid[:, column] if ax.get_visible()][-1]
        lowest.set_xlabel(words.words("epoch"))
        lowest.tick_params(labelbottom=True)
    keys: list[Line2D | Patch] = [
        Line2D([], [], color=FAINT, ls="-", label=words("loss_curves.val_loss")),
        Line2D([], [], color=FAINT, ls=DOTTED, lw=1.2, label=words("loss_curves.train_loss")),
        Line2D([], [], color=FAINT, ls="", marker="o", ms=5, label=words("column.best_epoch")),
    ]
    if len(runs) > len(experiments):
        keys.append(Patch(color=FAINT, alpha=0.25, lw=0, label=words("loss_curves.band")))
    figure.legend(handles=keys, loc="outside upper right", ncols=len(keys))
    return Drawn(figure, _fall(runs, t), material.left_out)


def _fall(runs: Sequence[Run], t: Texts) -> str:
    """Return how far the validation losses fell."""
    fell = []
    for run in runs:
        first, best = run.epochs[0].val_loss, run.training.best_val_loss
        if first and best is not None:
            fell.append((run, first, best))
    if not fell:
        return t("loss_curves.none")
    if len(fell) > NAMED:
        shares = [(best - first) / first for _, first, best in fell]
        low, high = (percent(share, sign=True) for share in (min(shares), max(shares)))
        return t("loss_curves.range", runs=t.count(len(fell), "run"), change=t.between(low, high))
    parts = [
        t(
            "loss_curves.one",
            run=run.label,
            first=number(first),
            best=number(best),
            epoch=run.training.best_epoch,
            change=percent((best - first) / first, sign=True),
        )
        for run, first, best in fell
    ]
    windows = sorted({run.training.windows.get("val", 0) for run, _, _ in fell})
    n = t.between(t.count(windows[0], "val window"), t.count(windows[-1], "val window"))
    return t("loss_curves.finding", n=n, parts="; ".join(parts))


def _losses(ax: Axes, name: str, runs: Sequence[Run], color: str, words: Texts) -> None:
    for kind, style, width in (("train_loss", DOTTED, 1.2), ("val_loss", "-", 1.7)):
        epochs = sorted({epoch.epoch for run in runs for epoch in run.epochs})
        values = np.full((len(runs), len(epochs)), np.nan)
        for row, run in enumerate(runs):
            for epoch in run.epochs:
                value = getattr(epoch, kind)
                values[row, epochs.index(epoch.epoch)] = np.nan if value is None else value
        measured = ~np.isnan(values).all(axis=0)
        if not measured.any():
            continue
        x, values = np.array(epochs)[measured], values[:, measured]
        middle = np.nanmedian(values, axis=0)
        alone = "o" if len(x) == 1 else ""  # a line of one point would not be seen
        ax.plot(x, middle, color=color, ls=style, lw=width, marker=alone, ms=3)
        if len(runs) > 1:
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
        said = [
            words(
                "loss_curves.at",
                name=name,
                epoch=epoch,
                kind=words(f"loss_curves.{kind}"),
                loss=_span(list(at[~np.isnan(at)]), words),
            )
            for epoch, at in zip(x, values.T, strict=True)
        ]
        marks(ax, list(x), list(middle), said)
    for run in runs:
        best = next((e for e in run.epochs if e.epoch == run.training.best_epoch), None)
        if best is not None and best.val_loss is not None:
            ax.plot(best.epoch, best.val_loss, "o", color=color, ms=5)
    losses = [run.training.best_val_loss for run in runs if run.training.best_val_loss is not None]
    several = f" ({words.count(len(runs), 'run')})" if len(runs) > 1 else ""
    ax.set_title(name + several, color=color, fontsize=9 if len(name) < 22 else 7)
    if losses:
        # A number in the empty corner saves reading it off the axis.
        lowest, corner = words("loss_curves.best", loss=_span(losses, words)), ax.transAxes
        ax.text(0.97, 0.93, lowest, transform=corner, ha="right", va="top", color=FAINT)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _span(values: list[float], words: Texts) -> str:
    """Return one value, or the lowest and the highest: ``0.152 to 0.167``."""
    return words.between(number(min(values)), number(max(values)))


def overfitting_gap(material: Material) -> Drawn:
    """Draw validation less training loss, a line a run: where it grows, a policy overfits."""
    t, words = material.texts, material.labels
    figure = new_figure(2.7)
    ax = figure.subplots()
    handles, parts = {}, []
    for run in material.shown:
        rows = epoch_rows(run.epochs, run.training.best_epoch)
        gaps = [(row.measured.epoch, row.gap) for row in rows if row.gap is not None]
        x, y = [epoch for epoch, _ in gaps], [gap for _, gap in gaps]
        ax.plot(x, y, **material.line(run), marker="o" if len(x) == 1 else "", ms=3)
        said = [f"{run.label}, epoch {epoch}: {number(gap)}" for epoch, gap in gaps]
        marks(ax, x, y, said)
        handles[run.experiment] = Line2D([], [], **material.line(run), label=run.experiment)
        if gaps:
            parts.append(f"{run.label} {number(y[-1])}")
    ax.axhline(0, color=FAINT, lw=1)
    ax.set_xlabel(words.words("epoch"))
    ax.set_ylabel(words("overfitting_gap.axis"))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not parts:
        return nothing(words("loss_curves.none"), t("loss_curves.none"))
    legend_beside(ax, list(handles.values()))
    return Drawn(figure, t("overfitting_gap.finding", parts=", ".join(parts)), material.left_out)

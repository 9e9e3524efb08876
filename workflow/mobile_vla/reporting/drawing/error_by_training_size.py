"""Test error against the number of training episodes: what more data are worth."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from mobile_vla.reporting.drawing.drawn import Drawn, marks
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import UNIT, number
from mobile_vla.reporting.load import WINDOW_SETTINGS, Run
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT, color_of
from mobile_vla.reporting.sizes import Sized, size_of, sized
from mobile_vla.reporting.texts import Texts
from mobile_vla.reporting.verdict import all_scored

PANEL = 3.4  # inches
CLOSE = 1.12  # sizes nearer to each other than by this factor would print over each other


def error_by_training_size(material: Material) -> Drawn:
    """Draw the figure: a panel for each dataset and way of cutting windows.

    Errors on different datasets or windows must not be compared, so they share no panel. Folds do:
    together they score each episode once.
    """
    runs, t = material.runs, material.texts
    panels: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        windows = (f"{key} {run.settings.settings.get(key)}" for key in WINDOW_SETTINGS)
        panels.setdefault((run.settings.dataset, *windows), []).append(run)
    names = material.experiments
    figure = new_figure(0.3 + PANEL * len(panels))
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    several = len({dataset for dataset, *_ in panels}) < len(panels)
    for ax, (key, own) in zip(axes, panels.items(), strict=True):
        _panel(ax, own, names)
        ax.set_title(", ".join(key[:3]) if several else key[0])
    axes[-1].set_xlabel("training episodes (logarithmic)")
    finding = " ".join(filter(None, (_finding(own, t) for own in sized(runs))))
    title = t("error_by_training_size.title")
    return Drawn(figure, title, t("error_by_training_size.caption"), finding)


def _finding(own: Sized, t: Texts) -> str:
    if len({size for size, _ in own.means}) < 2:
        return ""
    parts = [
        t("error_by_training_size.one", mae=number(mae), n=t.count(size, "training episode"))
        for size, mae in own.means
    ]
    where = all_scored([run.evaluation for run in own.runs], t)
    return t("error_by_training_size.finding", name=own.label, parts=", ".join(parts), scored=where)


def _panel(ax: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    keys = []
    for own in sized(runs):
        color = color_of(own.experiments[0], names)
        for run in own.runs:
            mae = run.evaluation.policy_mae
            ax.plot(size_of(run), mae, "o", color=color, ms=5)
            said = f"{run.label}, {size_of(run)} training episodes: {number(mae)}"
            marks(ax, [size_of(run)], [mae], [said])
        ax.plot(*zip(*own.means, strict=True), color=color)
        line = "-" if len(own.means) > 1 else ""
        keys.append(Line2D([], [], color=color, ls=line, marker="o", ms=5, label=own.label))
    baseline = _baseline(runs)
    if len(baseline) > 1:
        ax.plot(*zip(*baseline, strict=True), color=FAINT, lw=1.2, ls=(0, (3, 2)))
    else:
        ax.axhline(baseline[0][1], color=FAINT, lw=1.2, ls=(0, (3, 2)))
    keys.append(Line2D([], [], color=FAINT, lw=1.2, ls=(0, (3, 2)), label="best baseline"))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(_ticks(sorted({size_of(run) for run in runs}))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.margins(x=0.06)
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"{runs[0].evaluation.scored_on} MAE ({UNIT})")
    ax.legend(handles=keys, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _baseline(runs: Sequence[Run]) -> list[tuple[int, float]]:
    """Return the best baseline's mean MAE by size, on which a train mean depends."""
    sizes = sorted({size_of(run) for run in runs})
    found = []
    for size in sizes:
        values = [run.evaluation.best_baseline.mae for run in runs if size_of(run) == size]
        found.append((size, sum(values) / len(values)))
    return found


def _ticks(sizes: Sequence[int]) -> list[float]:
    """Return the sizes to print, without those that would overlap."""
    kept: list[float] = []
    for size in sizes:
        if not kept or size > CLOSE * kept[-1]:
            kept.append(size)
    return kept

"""Figure of the error against the number of training episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from mobile_vla.reporting.drawing.style import (
    DASHED,
    Drawn,
    baseline_key,
    legend_beside,
    marks,
    new_figure,
)
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import Run, grouped
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT
from mobile_vla.reporting.sizes import sized, training_episodes
from mobile_vla.reporting.verdict import all_scored
from mobile_vla.texts import Texts

PANEL = 3.4  # inches
CLOSE = 1.12  # sizes nearer to each other than by this factor would print over each other
NAMED = 3  # experiments that a label lists


def label_of(runs: Sequence[Run]) -> str:
    """Return the names of the runs' experiments, or the first of them."""
    names = list(dict.fromkeys(run.experiment for run in runs))
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")


def means_of(runs: Sequence[Run], error: Callable[[Run], float]) -> list[tuple[int, float]]:
    """Return each number of training episodes with the runs' mean error, in ascending order."""
    groups = grouped(sorted(runs, key=training_episodes), training_episodes)
    return [(size, sum(map(error, group)) / len(group)) for size, group in groups.items()]


def _mae(run: Run) -> float:
    return run.evaluation.policy_mae


def error_by_training_size(material: Material) -> Drawn:
    """Draw a panel for each dataset and way of cutting windows.

    Errors on different datasets or windows must not be compared, so they share no panel. Folds do:
    together they score each episode once.
    """
    runs, t, words = material.runs, material.texts, material.labels
    panels = grouped(runs, lambda run: (run.settings.dataset, *run.windowing))
    figure = new_figure(0.3 + PANEL * len(panels))
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    several = len({dataset for dataset, *_ in panels}) < len(panels)
    for ax, (key, group) in zip(axes, panels.items(), strict=True):
        _panel(ax, group, material)
        ax.set_title(", ".join(key[:3]) if several else key[0])
    axes[-1].set_xlabel(words("error_by_training_size.axis"))
    return Drawn(figure, " ".join(filter(None, (_finding(group, t) for group in sized(runs)))))


def _finding(runs: Sequence[Run], t: Texts) -> str:
    means = means_of(runs, _mae)
    if len(means) < 2:
        return ""
    parts = [
        t("error_by_training_size.one", mae=number(mae), n=t.count(size, "training episode"))
        for size, mae in means
    ]
    return t(
        "error_by_training_size.finding",
        name=label_of(runs),
        parts=", ".join(parts),
        scored=all_scored([run.evaluation for run in runs], t),
    )


def _panel(ax: Axes, runs: Sequence[Run], material: Material) -> None:
    keys, words = [], material.labels
    for group in sized(runs):
        color, means = material.color(group[0]), means_of(group, _mae)
        for run in group:
            ax.plot(training_episodes(run), _mae(run), "o", color=color, ms=5)
            episodes = words.count(training_episodes(run), "training episode")
            value = f"{run.label}, {episodes}: {number(_mae(run))}"
            marks(ax, [training_episodes(run)], [_mae(run)], [value])
        ax.plot(*zip(*means, strict=True), color=color)
        line = "-" if len(means) > 1 else ""
        keys.append(Line2D([], [], color=color, ls=line, marker="o", ms=5, label=label_of(group)))
    # by size too, on which a train mean depends
    baseline = means_of(runs, lambda run: run.evaluation.best_baseline.mae)
    if len(baseline) > 1:
        ax.plot(*zip(*baseline, strict=True), color=FAINT, lw=1.2, ls=DASHED)
    else:
        ax.axhline(baseline[0][1], color=FAINT, lw=1.2, ls=DASHED)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(_ticks([size for size, _ in baseline])))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.margins(x=0.06)
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"{runs[0].evaluation.scored_on} {words('drawn.mae')}")
    legend_beside(ax, [*keys, baseline_key(words("drawn.best_baseline"), lw=1.2)])


def _ticks(sizes: Sequence[int]) -> list[float]:
    """Return the sizes to print, without those that would overlap."""
    kept: list[float] = []
    for size in sizes:
        if not kept or size > CLOSE * kept[-1]:
            kept.append(size)
    return kept

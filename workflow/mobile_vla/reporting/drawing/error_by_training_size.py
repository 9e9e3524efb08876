"""Test error against the number of training episodes: experiments that differ in ``subset``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from mobile_vla.files import canonical_json
from mobile_vla.reporting.drawing.drawn import Drawn, marks
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import UNIT, number
from mobile_vla.reporting.load import WINDOW_SETTINGS, Run
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT, color_of
from mobile_vla.reporting.texts import Texts
from mobile_vla.reporting.verdict import all_scored

PANEL = 3.4  # inches
CLOSE = 1.12  # sizes nearer to each other than by this factor would print over each other
# Settings that do not decide how a run is trained: which runs there are, and what else is scored.
BESIDE = ("subset", "seeds", "evaluate_on")
NAMED = 3  # experiments that a label lists


@dataclass(frozen=True)
class Sized:
    """The runs of experiments that are the same but for ``subset``."""

    runs: tuple[Run, ...]

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    @property
    def label(self) -> str:
        """The experiments' names, or the first of them."""
        names = self.experiments
        return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")

    @property
    def means(self) -> list[tuple[int, float]]:
        """Number of training episodes and mean of the runs' MAE, in ascending order."""
        values_of: dict[int, list[float]] = {}
        for run in self.runs:
            values_of.setdefault(size_of(run), []).append(run.evaluation.policy_mae)
        return [(size, sum(values) / len(values)) for size, values in sorted(values_of.items())]


def size_of(run: Run) -> int:
    """Return how many episodes a run was trained on."""
    return run.training.episodes["train"]


def sized(runs: Sequence[Run]) -> list[Sized]:
    """Group runs whose settings differ in ``subset`` alone."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        settings = run.settings.settings
        rest = {name: value for name, value in settings.items() if name not in BESIDE}
        groups.setdefault(canonical_json(rest), []).append(run)
    return [Sized(tuple(group)) for group in groups.values()]


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
    for ax, (key, group) in zip(axes, panels.items(), strict=True):
        _panel(ax, group, names)
        ax.set_title(", ".join(key[:3]) if several else key[0])
    axes[-1].set_xlabel("training episodes (logarithmic)")
    finding = " ".join(filter(None, (_finding(group, t) for group in sized(runs))))
    title = t("error_by_training_size.title")
    return Drawn(figure, title, t("error_by_training_size.caption"), finding)


def _finding(group: Sized, t: Texts) -> str:
    if len({size for size, _ in group.means}) < 2:
        return ""
    parts = [
        t("error_by_training_size.one", mae=number(mae), n=t.count(size, "training episode"))
        for size, mae in group.means
    ]
    return t(
        "error_by_training_size.finding",
        name=group.label,
        parts=", ".join(parts),
        scored=all_scored([run.evaluation for run in group.runs], t),
    )


def _panel(ax: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    keys = []
    for group in sized(runs):
        color = color_of(group.experiments[0], names)
        for run in group.runs:
            mae = run.evaluation.policy_mae
            ax.plot(size_of(run), mae, "o", color=color, ms=5)
            value = f"{run.label}, {size_of(run)} training episodes: {number(mae)}"
            marks(ax, [size_of(run)], [mae], [value])
        ax.plot(*zip(*group.means, strict=True), color=color)
        line = "-" if len(group.means) > 1 else ""
        keys.append(Line2D([], [], color=color, ls=line, marker="o", ms=5, label=group.label))
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
    means = []
    for size in sizes:
        values = [run.evaluation.best_baseline.mae for run in runs if size_of(run) == size]
        means.append((size, sum(values) / len(values)))
    return means


def _ticks(sizes: Sequence[int]) -> list[float]:
    """Return the sizes to print, without those that would overlap."""
    kept: list[float] = []
    for size in sizes:
        if not kept or size > CLOSE * kept[-1]:
            kept.append(size)
    return kept

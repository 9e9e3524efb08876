"""Each experiment's error less each baseline's, with its interval."""

from __future__ import annotations

from matplotlib.axes import Axes

from mobile_vla.comparison.result import ExperimentScores
from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import hide, new_figure
from mobile_vla.reporting.format import UNIT, number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT, color_of
from mobile_vla.reporting.verdict import between

LINE = 0.25  # inches
COLUMNS = 2


def differences(material: Material) -> Drawn:
    """Draw the figure: a panel an experiment, a line a baseline."""
    t = material.texts
    shown = {run.experiment for run in material.shown}
    judged = [own for own in material.scores.experiments if own.experiment in shown]
    columns = min(COLUMNS, len(judged))
    rows = -(-len(judged) // columns)
    lines = max(len(own.differences) for own in judged)
    figure = new_figure(0.4 + rows * (0.65 + LINE * lines))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for ax, own in zip(grid.flat, judged, strict=False):
        _panel(ax, own, color_of(own.experiment, material.experiments))
    hide(list(grid.flat[len(judged) :]))
    for ax in grid[-2, -1:] if rows > 1 and len(judged) % columns else []:
        ax.tick_params(labelbottom=True)  # nothing below it has the numbers
    figure.supxlabel(f"MAE of the policy less the other's ({UNIT})", fontsize=9)
    parts = [
        t(
            "differences.one",
            experiment=own.experiment,
            baseline=t.words(own.best_baseline.name),
            difference=between(own.differences[own.best_baseline.name], t),
            n=own.episodes,
            episodes=t.count(own.episodes, "episode"),
        )
        for own in judged
    ]
    caption = f"{t('differences.caption')} {material.left_out}".strip()
    return Drawn(
        figure,
        t("differences.title"),
        caption,
        t("differences.finding", parts="; ".join(parts)),
    )


def _panel(ax: Axes, own: ExperimentScores, color: str) -> None:
    names = list(own.differences)
    for place, (name, found) in enumerate(own.differences.items()):
        shade = BASELINE if name in own.controls else color
        text = f"{own.experiment} less {name.replace('_', ' ')}: {number(found.value)}"
        if found.low is not None and found.high is not None:
            (bar,) = ax.plot([found.low, found.high], [place, place], color=shade, lw=2.2)
            text += f" ({number(found.low)} to {number(found.high)})"
            mark(bar, text)
        (dot,) = ax.plot(found.value, place, "o", color=shade, ms=5)
        mark(dot, text)
    ax.axvline(0, color=FAINT, lw=1)
    labels = [
        name.replace("_", " ") + (" (control)" if name in own.controls else "") for name in names
    ]
    ax.set_yticks(range(len(names)), labels)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{own.experiment} (n = {own.episodes} episodes)")

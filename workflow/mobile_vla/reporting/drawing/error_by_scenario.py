"""Error by each part of the scenario that varies among the scored episodes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure, nothing, stroke
from mobile_vla.reporting.format import UNIT, cell, number
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.material import Material, comparable
from mobile_vla.reporting.palette import FAINT

LINE = 0.3  # inches
SPREAD = 0.5  # of the room between two lines


def error_by_scenario(material: Material) -> Drawn:
    """Draw the figure: a panel a set of comparable runs, a line a value, a dot a run."""
    t = material.texts
    title, caption = t("error_by_scenario.title"), t("error_by_scenario.caption")
    groups = {
        name: runs
        for name, runs in list(comparable(material.shown).items())[:4]
        if any(run.evaluation.by_scenario for run in runs)
    }
    if not groups:
        return Drawn(nothing("all scored episodes are of the same scenario"), title, caption, "–")
    rows = {name: _labels(runs) for name, runs in groups.items()}
    heights = [0.7 + LINE * len(labels) for labels in rows.values()]
    figure = new_figure(0.3 + sum(heights))
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (name, runs) in zip(axes, groups.items(), strict=True):
        _panel(ax, material, runs, rows[name])
        ax.set_title(name)
    axes[-1].set_xlabel(f"MAE ({UNIT})")
    sentences = []
    for run in [run for runs in groups.values() for run in runs][:6]:
        if not run.evaluation.by_scenario:
            continue
        worst = max(run.evaluation.by_scenario, key=lambda part: part.policy.mae["overall"])
        sentences.append(
            t(
                "error_by_scenario.one",
                run=run.label,
                worst=number(worst.policy.mae["overall"]),
                place=cell(worst.cell),
                episodes=t.count(worst.episodes, "episode"),
            )
        )
    finding = t("error_by_scenario.finding", parts="; ".join(sentences))
    return Drawn(figure, title, f"{caption} {material.left_out}".strip(), finding)


def _labels(runs: Sequence[Run]) -> list[str]:
    return list(
        dict.fromkeys(cell(part.cell) for run in runs for part in run.evaluation.by_scenario)
    )


def _panel(ax: Axes, material: Material, runs: Sequence[Run], labels: Sequence[str]) -> None:
    handles = {}
    for index, run in enumerate(runs):
        shift = SPREAD * ((index + 0.5) / len(runs) - 0.5)
        color, style = material.color(run), stroke(run.experiment, material.experiments)
        marker = "o" if style == "-" else "s"
        best = run.evaluation.best_baseline.name
        for part in run.evaluation.by_scenario:
            place = labels.index(cell(part.cell))
            (tick,) = ax.plot(part.mae[best], place + shift, "|", color=FAINT, ms=9, mew=1.4)
            mark(tick, f"{best.replace('_', ' ')}, {cell(part.cell)}: {number(part.mae[best])}")
            mae = part.policy.mae["overall"]
            (dot,) = ax.plot(mae, place + shift, marker, color=color, ms=5)
            mark(
                dot, f"{run.label}, {cell(part.cell)}: {number(mae)} (n = {part.episodes} episodes)"
            )
        handles[run.experiment] = Line2D(
            [], [], color=color, ls="", marker=marker, ms=5, label=run.experiment
        )
    keys = [
        *handles.values(),
        Line2D([], [], color=FAINT, ls="", marker="|", ms=9, mew=1.4, label="best baseline"),
    ]
    ax.legend(handles=keys, loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(left=0)

"""Error by step of the chunk and by frame of the episode: a line a run, with the best baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mobile_vla.evaluation.result import Slice
from mobile_vla.reporting.drawing.drawn import Drawn, marks
from mobile_vla.reporting.drawing.style import new_figure, stroke
from mobile_vla.reporting.format import UNIT, number
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.material import Material, comparable
from mobile_vla.reporting.palette import FAINT

Along = Literal["step", "frame"]
PANEL = 2.9  # inches
PANELS = 4


def error_by_step(material: Material) -> Drawn:
    """Draw the figure: the error at each step of the chunk."""
    return _error_along(material, "step", "step of the chunk")


def error_by_frame(material: Material) -> Drawn:
    """Draw the figure: the error at each frame of the episode."""
    return _error_along(material, "frame", "frame of the episode")


def _error_along(material: Material, along: Along, label: str) -> Drawn:
    """Draw the error by step or frame; ``label`` is that of the axis."""
    t, name = material.texts, f"error_by_{along}"
    groups = dict(list(comparable(material.shown).items())[:PANELS])
    figure = new_figure(0.3 + PANEL * len(groups))
    axes = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    for ax, (title, runs) in zip(axes, groups.items(), strict=True):
        _panel(ax, material, runs, along)
        ax.set_title(title)
    axes[-1].set_xlabel(label)
    sentences = []
    for run in [run for runs in groups.values() for run in runs][:6]:
        parts = _parts(run, along)
        worst = max(parts, key=lambda part: part.policy.mae["overall"])
        sentences.append(
            t(
                f"{name}.one",
                run=run.label,
                first=number(parts[0].policy.mae["overall"]),
                last=number(parts[-1].policy.mae["overall"]),
                worst=number(worst.policy.mae["overall"]),
                place=getattr(worst, along),
                steps=t.count(sum(part.steps for part in parts), "step"),
            )
        )
    caption = f"{t(f'{name}.caption')} {material.left_out}".strip()
    return Drawn(
        figure, t(f"{name}.title"), caption, t(f"{name}.finding", parts="; ".join(sentences))
    )


def _parts(run: Run, along: Along) -> list[Slice]:
    return run.evaluation.by_step if along == "step" else run.evaluation.by_frame


def _panel(ax: Axes, material: Material, runs: Sequence[Run], along: Along) -> None:
    handles = {}
    drawn = set()
    for run in runs:
        parts = _parts(run, along)
        x = [float(getattr(part, along)) for part in parts]
        best = run.evaluation.best_baseline.name
        baseline = [part.mae[best] for part in parts]
        if (best, tuple(baseline)) not in drawn:  # experiments share it
            drawn.add((best, tuple(baseline)))
            ax.plot(x, baseline, color=FAINT, lw=1.2, ls=(0, (3, 2)))
            values = [f"{best.replace('_', ' ')}: {number(value)}" for value in baseline]
            marks(ax, x, baseline, values)
        y = [part.policy.mae["overall"] for part in parts]
        style = stroke(run.experiment, material.experiments)
        ax.plot(x, y, color=material.color(run), ls=style, marker="o", ms=3)
        marks(
            ax,
            x,
            y,
            [
                f"{run.label}, {along} {getattr(part, along)}: {number(value)} "
                f"(n = {part.steps} steps of {part.episodes} episodes)"
                for part, value in zip(parts, y, strict=True)
            ],
        )
        handles[run.experiment] = Line2D(
            *([], []), color=material.color(run), ls=style, marker="o", ms=3, label=run.experiment
        )
    keys = [*handles.values(), Line2D([], [], color=FAINT, ls=(0, (3, 2)), label="best baseline")]
    ax.legend(handles=keys, loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"MAE ({UNIT})")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))

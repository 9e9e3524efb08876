"""Seconds of an epoch the plain way, and with one change after another: an ablation."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import duration, number
from mobile_vla.reporting.load import Run, runs_with_ablation
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT
from mobile_vla.reporting.texts import Texts
from mobile_vla.timing.result import VariantTime

BAR = 0.34  # inches a bar
FRAME = 0.75  # inches of a panel's title and axis


def speed_ablation(material: Material) -> Drawn:
    """Draw the figure: a panel for each experiment that was compared with the plain way."""
    t, runs = material.texts, runs_with_ablation(material.runs)
    heights = [FRAME + BAR * len(run.timing.ablation) for run in runs]
    figure = new_figure(0.2 + sum(heights))
    axes = figure.subplots(len(runs), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, run in zip(axes, runs, strict=True):
        _panel(ax, run.timing.ablation, material.color(run))
        busy = " (machine was busy)" if run.timing.contended else ""
        ax.set_title(f"{run.experiment}{busy}")
    axes[-1].set_xlabel("seconds per epoch, training steps alone")
    finding = " ".join(_finding(run, t) for run in runs)
    return Drawn(figure, t("speed_ablation.title"), t("speed_ablation.caption"), finding)


def _finding(run: Run, t: Texts) -> str:
    first, last = run.timing.ablation[0], run.timing.ablation[-1]
    fastest = max(run.timing.ablation, key=lambda variant: variant.speedup)
    text = t(
        "speed_ablation.finding",
        experiment=run.experiment,
        first=duration(first.seconds_per_epoch),
        fastest=duration(fastest.seconds_per_epoch),
        variant=fastest.name,
        times=number(fastest.speedup, 2),
    )
    if fastest is not last:
        text += " " + t("speed_ablation.last", variant=last.name, times=number(last.speedup, 2))
    return text


def _panel(ax: Axes, variants: Sequence[VariantTime], color: str) -> None:
    for place, variant in enumerate(variants):
        shade = BASELINE if place == 0 else color
        (bar,) = ax.barh(place, variant.seconds_per_epoch, height=0.7, color=shade)
        mark(bar, f"{variant.name}: {duration(variant.seconds_per_epoch)} an epoch")
        text = duration(variant.seconds_per_epoch)
        if place:
            text += f"   {number(variant.speedup, 2)}× as fast"
            if variant.flops_ratio is not None:
                text += f", operations ÷ {number(variant.flops_ratio, 2)}"
        ax.annotate(
            text,
            (variant.seconds_per_epoch, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=FAINT,
        )
    labels = [variants[0].name, *(f"+ {variant.name}" for variant in variants[1:])]
    ax.set_yticks(range(len(variants)), labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(variants) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.12)
    ax.set_xlim(left=0)

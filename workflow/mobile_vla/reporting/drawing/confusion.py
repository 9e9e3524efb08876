"""Which motion was driven, and which was predicted."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import count, number, percent
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import PAPER
from mobile_vla.reporting.selection import best_run

CELL = 0.55  # inches
LIGHT = 0.55  # share of a row above which its text is set in white


def confusion(material: Material) -> Drawn:
    """Draw the figure: the run with the highest skill; rows are shares of a true class."""
    t, run = material.texts, best_run(material.runs)
    motion, color = run.evaluation.motion, material.color(run)
    classes = motion.classes
    size = len(classes)
    figure = new_figure(1.2 + CELL * size, min(8.0, 2.6 + 1.05 * size))
    ax = figure.subplots()
    shades = LinearSegmentedColormap.from_list("own", [PAPER, color])
    for row, values in enumerate(motion.confusion):
        total = sum(values)
        for column, value in enumerate(values):
            share = value / total if total else 0.0
            cell = ax.fill(
                column + np.array([-0.48, 0.48, 0.48, -0.48]),
                row + np.array([-0.47, -0.47, 0.47, 0.47]),
                facecolor=shades(share),
                edgecolor="none",
            )[0]
            said = f"driven {classes[row]}, predicted {classes[column]}: {count(value, 'step')}"
            mark(cell, f"{said}, {percent(share)} of {total}")
            if value:
                ink = "white" if share > LIGHT else "#1b2531"  # stays dark on the pale cell
                ax.text(column, row, f"{value:,}", ha="center", va="center", color=ink, fontsize=8)
    totals = [sum(values) for values in motion.confusion]
    labels = [f"{name} ({total:,})" for name, total in zip(classes, totals, strict=True)]
    ax.set_yticks(range(size), labels)
    ax.set_xticks(range(size), classes, rotation=0 if size < 5 else 30)
    ax.set_xlim(-0.5, size - 0.5)
    ax.set_ylim(size - 0.5, -0.5)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_ylabel("driven (steps)")
    ax.set_xlabel("predicted")
    ax.set_title(run.label)
    worst = min(
        (values[row] / total, classes[row])
        for row, (values, total) in enumerate(zip(motion.confusion, totals, strict=True))
        if total
    )
    finding = t(
        "confusion.finding",
        run=run.label,
        accuracy=percent(motion.accuracy),
        f1=number(motion.macro_f1),
        steps=t.count(sum(totals), "step"),
        worst=worst[1],
        share=percent(worst[0]),
    )
    return Drawn(figure, t("confusion.title"), t("confusion.caption"), finding)

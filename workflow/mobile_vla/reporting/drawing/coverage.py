"""How many episodes there are of each scenario."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from mobile_vla.audit.result import CoveredCell
from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import count
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import ALARM, COLORS, PAPER

DATASETS = 4  # more are not drawn
ROW = 0.5  # inches
LIGHT = 0.55  # share of the fullest cell above which its text is set in white


def coverage(material: Material) -> Drawn:
    """Draw the figure: a heat map a dataset, sides down and distances and styles across."""
    t, audits = material.texts, material.audits[:DATASETS]
    tables = [_table(audit.coverage) for audit in audits]
    heights = [0.9 + ROW * len(sides) for sides, _, _ in tables]
    figure = new_figure(0.1 + sum(heights))
    axes = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights)[:, 0]
    parts = []
    for ax, audit, (sides, others, counts) in zip(axes, audits, tables, strict=True):
        _panel(ax, sides, others, counts)
        ax.set_title(f"{audit.dataset} (n = {counts.sum():,} episodes)")
        parts.append(
            t(
                "coverage.one",
                dataset=audit.dataset,
                episodes=t.count(int(counts.sum()), "episode"),
                cells=t.count(counts.size, "cell"),
                empty=int((counts == 0).sum()),
                low=int(counts.min()),
                high=int(counts.max()),
            )
        )
    finding = t("coverage.finding", parts=" ".join(parts))
    return Drawn(figure, t("coverage.title"), t("coverage.caption"), finding)


def _table(cells: Sequence[CoveredCell]) -> tuple[list[str], list[tuple[str, str]], np.ndarray]:
    sides = list(dict.fromkeys(cell.cell["side"] for cell in cells))
    others = list(dict.fromkeys((cell.cell["distance"], cell.cell["style"]) for cell in cells))
    others.sort(key=lambda pair: pair[1])  # stable: distances keep their order
    counts = np.zeros((len(sides), len(others)), dtype=int)
    for cell in cells:
        place = (cell.cell["distance"], cell.cell["style"])
        counts[sides.index(cell.cell["side"]), others.index(place)] += cell.episodes
    return sides, others, counts


def _panel(
    ax: Axes, sides: Sequence[str], others: Sequence[tuple[str, str]], counts: np.ndarray
) -> None:
    shades = LinearSegmentedColormap.from_list("depth", [PAPER, COLORS[0]])
    for row, side in enumerate(sides):
        for column, (distance, style) in enumerate(others):
            n = int(counts[row, column])
            share = n / max(int(counts.max()), 1)
            cell = ax.fill(
                column + np.array([-0.48, 0.48, 0.48, -0.48]),
                row + np.array([-0.46, -0.46, 0.46, 0.46]),
                facecolor=shades(share),
                edgecolor="none",
            )[0]
            mark(cell, f"{side}, {distance}, {style}: {count(n, 'episode')}")
            ink = "white" if share > LIGHT else "#1b2531" if n else ALARM
            ax.text(column, row, f"{n:,}", ha="center", va="center", color=ink, fontsize=9)
    ax.set_yticks(range(len(sides)), sides)
    ax.set_xticks(range(len(others)), [f"{distance}\n{style}" for distance, style in others])
    ax.set_xlim(-0.5, len(others) - 0.5)
    ax.set_ylim(len(sides) - 0.5, -0.5)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)

"""All episodes' actions at a glance: a line an episode, a column a frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.dataset import Dataset
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.drawing.style import hide, new_figure
from mobile_vla.reporting.format import MISSING
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import PAPER

DATASETS = 3  # more are not drawn
LINE, LOWEST, HIGHEST = 0.028, 1.6, 3.6  # inches an episode, and of a panel
COLORMAP = "PuOr"  # its ends are told apart with any colour vision


def action_sequences(material: Material) -> Drawn:
    """Draw the figure: a row of panels a dataset, a panel a dimension that varies."""
    t, datasets = material.texts, material.loaded[:DATASETS]
    columns = {own.name: _varying(own) for own in datasets}
    width = max(map(len, columns.values()))
    heights = [min(max(LINE * len(own), LOWEST), HIGHEST) for own in datasets]
    figure = new_figure(0.6 + sum(heights) + 0.5 * len(datasets))
    grid = figure.subplots(len(datasets), width, squeeze=False, height_ratios=heights)
    largest = max(float(np.abs(own.actions).max(initial=0.0)) for own in datasets) or 1.0
    parts = []
    for axes, own in zip(grid, datasets, strict=True):
        order = _sorted(own)
        for position, column in enumerate(columns[own.name]):
            picture = _panel(axes[position], own, order, column, largest, first=position == 0)
            title = ACTION_COLUMNS[column]
            axes[position].set_title(f"{own.name}: {title}" if position == 0 else title)
        hide(list(axes[len(columns[own.name]) :]))
        low, high = (t.count(int(n), "frame") for n in (own.lengths.min(), own.lengths.max()))
        parts.append(
            t(
                "action_sequences.one",
                dataset=own.name,
                episodes=t.count(len(own), "episode"),
                frames=t.between(low, high),
                distinct=_distinct(own),
            )
        )
    bar = figure.colorbar(picture, ax=list(grid.flat), shrink=0.7, pad=0.015)
    bar.set_label("command units")
    bar.outline.set_visible(False)
    for ax in grid[-1]:
        ax.set_xlabel("frame")
    finding = t("action_sequences.finding", parts=" ".join(parts))
    return Drawn(figure, t("action_sequences.title"), t("action_sequences.caption"), finding)


def _varying(dataset: Dataset) -> list[int]:
    found = [column for column in range(3) if np.ptp(dataset.actions[:, column]) > 0]
    return found or [0]


def _sorted(dataset: Dataset) -> list[int]:
    """Return the episodes' indices by side, style and name."""

    def place(index: int) -> tuple[str, str, str]:
        own = dataset.episodes[index]
        return (own.scenario.get("side") or "", own.scenario.get("style") or "", own.name)

    return sorted(range(len(dataset)), key=place)


def _distinct(dataset: Dataset) -> int:
    return len(
        {
            dataset.actions[first : first + length].tobytes()
            for first, length in zip(dataset.offsets, dataset.lengths, strict=True)
        }
    )


def _panel(
    ax: Axes, dataset: Dataset, order: Sequence[int], column: int, largest: float, *, first: bool
) -> AxesImage:
    values = np.full((len(order), int(dataset.lengths.max())), np.nan, dtype=np.float32)
    for row, index in enumerate(order):
        start, length = dataset.offsets[index], dataset.lengths[index]
        values[row, :length] = dataset.actions[start : start + length, column]
    picture = ax.imshow(
        values, aspect="auto", cmap=COLORMAP, vmin=-largest, vmax=largest, interpolation="none"
    )
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    sides = groupby(order, key=lambda index: dataset.episodes[index].scenario.get("side"))
    ticks, labels, row = [], [], 0
    for side, members in sides:
        count = len(list(members))
        ticks.append(row + count / 2 - 0.5)
        labels.append(f"{side or MISSING}\n({count})")
        row += count
        if row < len(order):
            ax.axhline(row - 0.5, color=PAPER, lw=2)
    ax.set_yticks(ticks, labels if first else [""] * len(labels))
    ax.tick_params(axis="y", length=0)
    return picture

"""Figures of the data: all action sequences at a glance, and the coverage of scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from mobile_vla.audit.result import CoveredCell
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.dataset import Dataset
from mobile_vla.reporting.drawing.style import (
    CELL_INK,
    Drawn,
    heat_axes,
    heat_cell,
    hide,
    mark,
    new_figure,
)
from mobile_vla.reporting.format import whole
from mobile_vla.reporting.load import load_audit
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import ALARM, COLORS, PAPER
from mobile_vla.texts import MISSING, Texts

SEQUENCES, COVERAGES = 3, 4  # datasets that there is room for
LINE, LOWEST, HIGHEST = 0.028, 1.6, 3.6  # inches an episode, and of a panel of sequences
COLORMAP = "PuOr"  # its ends are told apart with any colour vision
ROW = 0.5  # inches
LIGHT = 0.55  # share of the fullest cell above which its text is set in white


def action_sequences(material: Material) -> Drawn:
    """Draw a row of panels a dataset, a panel a dimension that varies: a line an episode."""
    t, words, datasets = material.texts, material.labels, material.loaded[:SEQUENCES]
    columns = {dataset.name: _varying(dataset) for dataset in datasets}
    width = max(map(len, columns.values()))
    heights = [min(max(LINE * len(dataset), LOWEST), HIGHEST) for dataset in datasets]
    figure = new_figure(0.6 + sum(heights) + 0.5 * len(datasets))
    grid = figure.subplots(len(datasets), width, squeeze=False, height_ratios=heights)
    most = np.stack([np.abs(data.actions).max(axis=0, initial=0.0) for data in datasets]).max(0)
    parts = []
    for axes, dataset in zip(grid, datasets, strict=True):
        order = _sorted(dataset)
        for position, column in enumerate(columns[dataset.name]):
            ax, first = axes[position], position == 0
            picture = _sequences(ax, dataset, order, column, most[column], first)
            title = ACTION_COLUMNS[column]
            ax.set_title(f"{dataset.name}: {title}" if first else title)
        hide(list(axes[len(columns[dataset.name]) :]))
        lengths = dataset.lengths
        low, high = (t.count(int(n), "frame") for n in (lengths.min(), lengths.max()))
        parts.append(
            t(
                "action_sequences.one",
                dataset=dataset.name,
                episodes=t.count(len(dataset), "episode"),
                frames=t.between(low, high),
                distinct=_distinct(dataset),
            )
        )
    bar = figure.colorbar(picture, ax=list(grid.flat), shrink=0.7, pad=0.015)
    bar.set_label(words("action_sequences.shade"))
    bar.outline.set_visible(False)
    for ax in grid[-1]:
        ax.set_xlabel(words.words("frame"))
    note = material.no_room_for(material.datasets, SEQUENCES)
    return Drawn(figure, t("action_sequences.finding", parts=" ".join(parts)), note)


def _varying(dataset: Dataset) -> list[int]:
    return [column for column in range(3) if np.ptp(dataset.actions[:, column]) > 0] or [0]


def _sorted(dataset: Dataset) -> list[int]:
    """Return the episodes' indices by side, style and name."""

    def place(index: int) -> tuple[str, str, str]:
        episode = dataset.episodes[index]
        scenario = episode.scenario
        return (scenario.get("side") or "", scenario.get("style") or "", episode.name)

    return sorted(range(len(dataset)), key=place)


def _distinct(dataset: Dataset) -> int:
    return len(
        {
            dataset.actions[first : first + length].tobytes()
            for first, length in zip(dataset.offsets, dataset.lengths, strict=True)
        }
    )


def _sequences(
    ax: Axes, dataset: Dataset, order: Sequence[int], column: int, largest: float, labelled: bool
) -> AxesImage:
    values = np.full((len(order), int(dataset.lengths.max())), np.nan, dtype=np.float32)
    for row, index in enumerate(order):
        start, length = dataset.offsets[index], dataset.lengths[index]
        values[row, :length] = dataset.actions[start : start + length, column] / (largest or 1)
    picture = ax.imshow(values, aspect="auto", cmap=COLORMAP, vmin=-1, vmax=1, interpolation="none")
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    sides = groupby(order, key=lambda index: dataset.episodes[index].scenario.get("side"))
    ticks, labels, row = [], [], 0
    for side, members in sides:
        size = len(list(members))
        ticks.append(row + size / 2 - 0.5)
        labels.append(f"{side or MISSING}\n({size})")
        row += size
        if row < len(order):
            ax.axhline(row - 0.5, color=PAPER, lw=2)
    ax.set_yticks(ticks, labels if labelled else [""] * len(labels))
    ax.tick_params(axis="y", length=0)
    return picture


def coverage(material: Material) -> Drawn:
    """Draw a heat map a dataset: sides down, distances and styles across."""
    t, words = material.texts, material.labels
    audits = [load_audit(name, material.results) for name in material.datasets[:COVERAGES]]
    tables = [_table(audit.coverage) for audit in audits]
    heights = [0.9 + ROW * len(sides) for sides, _, _ in tables]
    figure = new_figure(0.1 + sum(heights))
    axes = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights)[:, 0]
    parts = []
    for ax, audit, (sides, others, counts) in zip(axes, audits, tables, strict=True):
        _coverage(ax, sides, others, counts, words)
        ax.set_title(f"{audit.dataset} (n = {words.count(int(counts.sum()), 'episode')})")
        parts.append(
            t(
                "coverage.one",
                dataset=audit.dataset,
                episodes=t.count(int(counts.sum()), "episode"),
                cells=t.count(counts.size, "cell"),
                empty=int((counts == 0).sum()),
                each=t.between(whole(int(counts.min())), whole(int(counts.max()))),
            )
        )
    note = material.no_room_for(material.datasets, COVERAGES)
    return Drawn(figure, t("coverage.finding", parts=" ".join(parts)), note)


def _table(cells: Sequence[CoveredCell]) -> tuple[list[str], list[tuple[str, str]], np.ndarray]:
    """Return sides, pairs of distance and style, and numbers of episodes."""
    sides = list(dict.fromkeys(cell.cell["side"] for cell in cells))
    others = list(dict.fromkeys((cell.cell["distance"], cell.cell["style"]) for cell in cells))
    others.sort(key=lambda pair: pair[1])  # stable: distances keep their order
    counts = np.zeros((len(sides), len(others)), dtype=int)
    for cell in cells:
        place = (cell.cell["distance"], cell.cell["style"])
        counts[sides.index(cell.cell["side"]), others.index(place)] += cell.episodes
    return sides, others, counts


def _coverage(
    ax: Axes,
    sides: Sequence[str],
    others: Sequence[tuple[str, str]],
    counts: np.ndarray,
    words: Texts,
) -> None:
    shades = LinearSegmentedColormap.from_list("depth", [PAPER, COLORS[0]])
    for (row, column), n in np.ndenumerate(counts):
        share = int(n) / max(int(counts.max()), 1)
        distance, style = others[column]
        cell = heat_cell(ax, row, column, shades(share), half=0.46)
        mark(cell, f"{sides[row]}, {distance}, {style}: {words.count(int(n), 'episode')}")
        ink = "white" if share > LIGHT else CELL_INK if n else ALARM
        ax.text(column, row, f"{n:,}", ha="center", va="center", color=ink, fontsize=9)
    heat_axes(ax, sides, [f"{distance}\n{style}" for distance, style in others])

"""What all figures share: look, axes, marks with values, and files of equal bytes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from mobile_vla.files import atomic_path
from mobile_vla.layout import FigureFiles
from mobile_vla.reporting.palette import BASELINE, FAINT, GRID, INK

WIDTH = 8.0  # inches
LONGEST = 36  # characters of a label
NARROWEST = 8  # characters of a line of a title
MARGIN = 4  # pixels between a title and what is beside it
PNG_DPI = 150
# What a figure is written as, without what would differ from machine to machine.
FORMATS: dict[str, dict[str, Any]] = {
    "svg": {
        "transparent": True,
        "metadata": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    },
    "pdf": {"metadata": dict.fromkeys(("CreationDate", "Creator", "Producer"))},
    "png": {"dpi": PNG_DPI, "facecolor": "white", "metadata": {"Software": None}},
}
DASHED = (0, (3, 2))
CELL_INK = "#1b2531"  # stays dark on a pale cell, also where the page's ink is light
MARK, MARKS = "mark:", "marks:"
BETWEEN = " ¦ "
SVG = "http://www.w3.org/2000/svg"
NAMESPACES = {"": SVG, "xlink": "http://www.w3.org/1999/xlink"}

RC = {
    "svg.hashsalt": "mobile-vla",  # otherwise random: the same data would give other bytes
    "pdf.fonttype": 42,  # TrueType, as publishers ask for
    "svg.fonttype": "path",  # the same letters on every machine, with whatever fonts
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": BASELINE,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
}


@dataclass(frozen=True)
class Drawn:
    """A figure of the report; its title and caption are the texts of its name."""

    figure: Figure
    alt: str  # what it shows, with its number, for those who do not see it
    note: str = ""  # a sentence to follow the caption
    empty: bool = False  # whether there is nothing to draw


@contextmanager
def styled(families: Sequence[str]) -> Iterator[None]:
    """Draw in the common style; matplotlib's own settings are as before afterwards.

    Args:
        families: of fonts; each letter is that of the first that has it.
    """
    # with all defaults, so that a user's matplotlibrc changes no figure
    parameters: Any = {**mpl.rcParamsDefault, **RC, "font.family": list(families)}
    with mpl.rc_context(parameters):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure, in inches, that no global state knows of."""
    return Figure(figsize=(width, height), layout="constrained")


def nothing(why: str, alt: str) -> Drawn:
    """Return a figure whose text is why it shows nothing: the page leaves it out."""
    figure = new_figure(0.8)
    figure.text(0.02, 0.5, why, va="center", color=FAINT)
    return Drawn(figure, alt, empty=True)


def hide(axes: Sequence[Axes]) -> None:
    """Hide the places of a grid of axes for which there is nothing to draw."""
    for ax in axes:
        ax.set_visible(False)


def shortened(label: str) -> str:
    """Return a label without its middle where it would take the room of what is drawn."""
    if len(label) <= LONGEST:
        return label
    return f"{label[: LONGEST // 2]}…{label[-(LONGEST // 2) + 1 :]}"


def fit_titles(figure: Figure) -> None:
    """Break the titles that would reach into the next axes or out of the figure."""
    engine = figure.get_layout_engine()
    shown = [ax for ax in figure.axes if ax.get_visible()]
    titles = [
        (ax, text)
        for ax in shown
        for text in ax.get_children()
        if isinstance(text, Text) and text.get_text()
    ]
    if engine is None or all(
        text.get_window_extent().width < ax.get_window_extent().width / 2 for ax, text in titles
    ):
        return
    for _, text in titles:
        text.set_visible(False)  # a long title would push its axes aside
    engine.execute(figure)
    for _, text in titles:
        text.set_visible(True)
    boxes = [ax.get_window_extent() for ax in figure.axes]  # hidden ones keep their place
    for ax, text in titles:
        box = ax.get_window_extent()
        row = [other for other in boxes if other.y0 < box.y1 and other.y1 > box.y0]
        alone = text in ax.texts or all(abs(other.x0 - box.x0) < 1 for other in row)
        end = figure.bbox.x1 if alone else box.x1
        _fit(text, end - text.get_window_extent().x0 - MARGIN)


def _fit(text: Text, room: float) -> None:
    """Break a text until it fits into a width in pixels."""
    whole = text.get_text()
    width = max(map(len, whole.splitlines()))
    while width > NARROWEST and (taken := text.get_window_extent().width) > room:
        width = max(min(width - 1, int(width * room / taken)), NARROWEST)
        text.set_text(broken_up(whole, width))


def broken_up(text: str, width: int) -> str:
    """Break lines at spaces and, as names have none, behind their joints, else anywhere."""
    lines: list[str] = []
    for line in text.splitlines():
        lines.append("")
        for part in re.findall(r"[^ _,-]*[ _,-]?", line):
            if lines[-1] and len(lines[-1] + part.rstrip()) > width:
                lines.append("")
            lines[-1] += part
            while len(lines[-1].rstrip()) > width:
                lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.rstrip() for line in lines)


def lines_down(ax: Axes, labels: Sequence[str], *, grid: bool = False) -> None:
    """Label the places 0, 1, … from top to bottom, a line each."""
    ax.set_yticks(range(len(labels)), list(map(shortened, labels)))
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=grid)


def beside(ax: Axes, x: float, y: float, text: str, points: int, **options: Any) -> None:
    """Write a text some points to the right of a place."""
    ax.annotate(
        text,
        (x, y),
        xytext=(points, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        **options,
    )


def heat_axes(
    ax: Axes, rows: Sequence[str], columns: Sequence[str], *, rotation: float = 0
) -> None:
    """Label the cells of a heat map, the first row above."""
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns, rotation=rotation)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def heat_cell(ax: Axes, row: int, column: int, color: Any, half: float = 0.47) -> Artist:
    """Fill a cell of a heat map; ``half`` is of its height."""
    x, y = np.array([-0.48, 0.48, 0.48, -0.48]), half * np.array([-1, -1, 1, 1])
    return ax.fill(column + x, row + y, facecolor=color, edgecolor="none")[0]


def legend_beside(ax: Axes, handles: Sequence[Line2D]) -> None:
    """Put a legend to the right of the axes."""
    for handle in handles:
        handle.set_label(shortened(str(handle.get_label())))
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))


def baseline_key(label: str, **options: Any) -> Line2D:
    """Return the entry of the best baseline in a legend."""
    look = {"color": FAINT, "ls": DASHED, "label": label}
    return Line2D([], [], **{**look, **options})


def mark(artist: Artist, text: str) -> None:
    """Give an artist a value that is shown where the reader points at it."""
    artist.set_gid(MARK + text)


def marks(ax: Axes, x: Sequence[float], y: Sequence[float], values: Sequence[str]) -> None:
    """Put invisible places on a figure, with values that are shown where the reader points."""
    kept = [(a, b, text) for a, b, text in zip(x, y, values, strict=True) if a == a and b == b]
    if not kept:
        return
    options: Any = {"ls": "", "marker": "o", "ms": 11, "alpha": 0.0, "zorder": 9}
    (line,) = ax.plot(*zip(*[(a, b) for a, b, _ in kept], strict=True), **options)
    line.set_gid(MARKS + BETWEEN.join(text for _, _, text in kept))


def save(figure: Figure, files: FigureFiles, formats: Iterable[str]) -> None:
    """Write a figure in some of ``FORMATS``."""
    FigureCanvasAgg(figure)
    fit_titles(figure)
    for kind in formats:
        path: Path = getattr(files, kind)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, **FORMATS[kind])
            figure.set_layout_engine(None)  # laid out once, or it costs more than all drawing
            if kind == "svg":
                text = temporary.read_text(encoding="utf-8")
                temporary.write_text(_with_values(text), encoding="utf-8")


def _with_values(text: str) -> str:
    """Return an SVG whose marks have their values as ``<title>``, which browsers show, for ids."""
    if MARK[:-1] not in text:
        return text
    for prefix, uri in NAMESPACES.items():
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(text)
    for element in list(root.iter()):
        name = element.get("id", "")
        if name.startswith(MARK):
            _add_title(element, name.removeprefix(MARK))
        elif name.startswith(MARKS):
            values = name.removeprefix(MARKS).split(BETWEEN)
            # A marker outside the axes is not drawn; then it is not known which values are shown.
            places = list(element.iter(f"{{{SVG}}}use"))
            if len(places) == len(values):
                for place, value in zip(places, values, strict=True):
                    _add_title(place, value)
        else:
            continue
        element.attrib.pop("id")
    return ET.tostring(root, encoding="unicode") + "\n"


def _add_title(element: ET.Element, value: str) -> None:
    element.set("class", "mark")
    title = ET.Element(f"{{{SVG}}}title")
    title.text = value
    element.insert(0, title)

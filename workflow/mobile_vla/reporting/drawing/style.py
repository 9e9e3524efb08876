"""The look that all figures share, and writing them so that equal data give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mobile_vla.files import atomic_path
from mobile_vla.layout import FigureFiles
from mobile_vla.reporting.drawing.drawn import with_values
from mobile_vla.reporting.palette import BASELINE, COLORS, FAINT, GRID, INK

WIDTH = 8.0  # inches
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

STROKES = ("-", "--", ":", "-.")

RC = {
    "svg.hashsalt": "mobile-vla",  # otherwise random: the same data would give other bytes
    "pdf.fonttype": 42,  # TrueType, as publishers ask for
    "svg.fonttype": "path",  # the same letters on every machine, with whatever fonts
    "font.family": "DejaVu Sans",  # comes with matplotlib
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


def nothing(why: str) -> Figure:
    """Return a figure whose text is the reason why it shows nothing."""
    figure = new_figure(0.8)
    figure.text(0.02, 0.5, f"Nothing to draw: {why}.", va="center", color=FAINT)
    return figure


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the common style; matplotlib's own settings are as before afterwards."""
    parameters: Any = {**mpl.rcParamsDefault, **RC}  # a user's matplotlibrc changes no figure
    with mpl.rc_context(parameters):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure, in inches, that no global state knows of."""
    return Figure(figsize=(width, height), layout="constrained")


def stroke(experiment: str, experiments: Sequence[str]) -> str:
    """Return the line style that distinguishes experiments of the same colour."""
    return STROKES[experiments.index(experiment) // len(COLORS) % len(STROKES)]


def hide(axes: Sequence[Axes]) -> None:
    """Hide the places of a grid of axes for which there is nothing to draw."""
    for ax in axes:
        ax.set_visible(False)


def save(figure: Figure, files: FigureFiles, formats: Iterable[str] = FORMATS) -> None:
    """Write a figure in some of the formats.

    No time and no software version is written, so that equal data give equal files.
    """
    FigureCanvasAgg(figure)
    for kind in formats:
        path: Path = getattr(files, kind)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, **FORMATS[kind])
            figure.set_layout_engine(None)  # laid out once, or it costs more than all drawing
            if kind == "svg":
                text = temporary.read_text(encoding="utf-8")
                temporary.write_text(with_values(text), encoding="utf-8")

"""A figure with its words, and the marks on it that say their value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARK, MARKS = "mark:", "marks:"
BETWEEN = " ¦ "


@dataclass(frozen=True)
class Drawn:
    """A figure of the report.

    Args:
        figure: the drawing.
        title: what it is.
        caption: how to read it.
        alt: what it shows, with its number, for those who do not see it.
    """

    figure: Figure
    title: str
    caption: str
    alt: str


def mark(artist: Artist, text: str) -> None:
    """Let an artist say its value, where the reader points at it."""
    artist.set_gid(MARK + text)


def marks(ax: Axes, x: Sequence[float], y: Sequence[float], said: Sequence[str]) -> None:
    """Put places on a figure that show nothing and say a value where the reader points at them."""
    kept = [(a, b, text) for a, b, text in zip(x, y, said, strict=True) if a == a and b == b]
    if not kept:
        return
    options: Any = {"ls": "", "marker": "o", "ms": 11, "alpha": 0.0, "zorder": 9}
    (line,) = ax.plot(*zip(*[(a, b) for a, b, _ in kept], strict=True), **options)
    line.set_gid(MARKS + BETWEEN.join(text for _, _, text in kept))

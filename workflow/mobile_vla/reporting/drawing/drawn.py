"""A figure with its words, and marks on it that show their value to a reader who points at them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARK, MARKS = "mark:", "marks:"
BETWEEN = " ¦ "
SVG = "http://www.w3.org/2000/svg"
NAMESPACES = {"": SVG, "xlink": "http://www.w3.org/1999/xlink"}


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


def with_values(text: str) -> str:
    """Return an SVG whose marks have their values as ``<title>`` elements, and no ids.

    Browsers show a title where one points at its element.
    """
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

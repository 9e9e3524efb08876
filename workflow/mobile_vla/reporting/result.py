"""The form of the report's result files."""

from __future__ import annotations

from mobile_vla.result import Result


class Caption(Result):
    """The words of a figure; ``captions.json`` holds them by the figures' names."""

    title: str
    """What the figure is."""
    caption: str
    """How to read it."""
    alt: str
    """What it shows, with its number, for those who do not see it."""
    empty: bool = False
    """Whether there is nothing to draw: then the page leaves it out, and the file says why."""
    no_font: bool = False
    """Whether what stands in it is English, because no font has the letters of the language."""

"""A figure's SVG as a part of the page: its colours follow the page's, its ids are its own."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import Markup, escape

from mobile_vla.errors import UserError
from mobile_vla.reporting.palette import THEME

PIXELS_PER_POINT = 1.5  # 4/3 is paper size; on a screen a little larger reads better


def inline(path: Path, alt: str) -> Markup:
    """Return the figure as an ``<svg>`` element for the page.

    Args:
        path: the SVG file; its stem becomes the prefix of all ids, since ids that two figures
            share would make one use the other's clip paths.
        alt: what the figure shows and finds, for those who do not see it.

    Raises:
        UserError: the file is missing or holds no ``<svg>`` element.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    match = re.search(r"<svg\b([^>]*)>(.*</svg>)", text, re.DOTALL)
    if match is None:
        raise UserError(f"{path}: no SVG figure; remove it and run snakemake again")
    attributes, body = match.groups()
    box = re.search(r'viewBox="([^"]+)"', attributes)
    if box is None:
        raise UserError(f"{path}: its <svg> lacks a viewBox; remove it and run snakemake again")
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    prefix = path.stem.replace("_", "-")
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(xlink:)?href="#', f'href="#{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    for color, variable in THEME.items():
        body = re.sub(rf"{color}\b", f"var({variable})", body)
    width = float(box.group(1).split()[2]) * PIXELS_PER_POINT
    return Markup(
        f'<svg viewBox="{box.group(1)}" style="width:{width:.0f}px" role="img" '
        f'aria-label="{escape(alt)}">{body}'
    )

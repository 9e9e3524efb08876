"""The files that the page is made from, which stand in ``workflow/report/page/``."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.templates import FOLDER

SECTIONS = ("summary", "data", "experiments", "training", "evaluation", "cost", "provenance")
"""The sections of the page, each of which has a template."""


def template_files() -> list[Path]:
    """Return the page's templates, style and script."""
    templates = [f"{name}.html.j2" for name in ("page", "macros", *SECTIONS)]
    return [FOLDER / "page" / name for name in (*templates, "style.css", "script.js")]

"""Where the report's texts and templates stand in the repository."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "report"
SECTIONS = ("summary", "data", "experiments", "training", "evaluation", "cost", "provenance")
"""The sections of the page, each of which has a template."""


def texts_file(language: str) -> Path:
    """Return the file of the report's texts in a language."""
    return FOLDER / f"texts/{language}.yaml"


def template_files() -> list[Path]:
    """Return the page's templates, style and script."""
    names = ["page", "macros", *SECTIONS]
    files = [*(f"{name}.html.j2" for name in names), "style.css", "script.js"]
    return [FOLDER / "page" / file for file in files]

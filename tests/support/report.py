"""The report's commands on synthetic results."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mobile_vla import texts
from mobile_vla.config.reporting import Language
from mobile_vla.files import write_json, write_text
from mobile_vla.layout import CaptionFiles, ComparisonFiles, FigureFiles, ReportFiles, TableFiles
from mobile_vla.reporting.figures import draw
from mobile_vla.reporting.page import page
from mobile_vla.reporting.page_files import template_files
from mobile_vla.reporting.tables import tables
from support.results import Results

SOURCES = texts.FOLDER
TEMPLATES = template_files()
EMPTY = '<svg viewBox="0 0 9 9"><path id="a" style="fill: #1b2530"/></svg>'
ENGLISH = texts.Texts.of("en")


def drawn(
    made: Results,
    names: Sequence[str] | None = None,
    folder: Path | None = None,
    language: Language = "en",
    kinds: Sequence[str] = ("svg",),
) -> dict[str, Path]:
    """Draw some figures, by default all; return the SVGs by name.

    Args:
        made: the results.
        names: of the figures.
        folder: the folder of all results, or another one to draw them in.
        language: that of the captions.
        kinds: formats to write; each is drawn by itself, which takes most of the time.
    """
    derived = made.results if folder is None else folder
    if folder is not None:
        folder.mkdir(parents=True)
        shutil.copy(made.comparison, ComparisonFiles.below(folder).comparison)
    chosen = {"language": language, **({} if names is None else {"figures": tuple(names)})}
    settings = made.settings.model_copy(update=chosen)
    draw(settings, made.results, derived, kinds)
    return {name: FigureFiles.below(derived, figure=name).svg for name in settings.figures}


def hollow(made: Results) -> None:
    """Write figures that show nothing, for tests of the page alone: drawing takes seconds."""
    for files in made.settings.figure_files(made.results):
        write_text(files.svg, EMPTY)
    captions = {
        name: {"title": name, "caption": "", "alt": f"alt of {name}"}
        for name in made.settings.figures
    }
    write_json(CaptionFiles.below(made.results).captions, captions)


def written(made: Results, figures: Sequence[str] | None = None) -> Path:
    """Write the page around figures that are drawn already; without any, around hollow ones."""
    settings = made.settings
    if figures is None:
        hollow(made)
    else:
        settings = settings.model_copy(update={"figures": tuple(figures)})
    page(settings, made.results)
    return ReportFiles.below(made.results).report


def tabulated(made: Results) -> dict[str, Path]:
    """Write the tables; return the CSV files by name."""
    tables(made.settings, made.results)
    return {
        name: TableFiles.below(made.results, table=name).csv for name in made.settings.table_names()
    }

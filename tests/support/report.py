"""The report's stages on made results, as the rules call them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobile_vla.files import write_json
from mobile_vla.reporting.figures import figures
from mobile_vla.reporting.page import page
from mobile_vla.reporting.texts import Texts
from support.project import ROOT
from support.results import Results

SOURCES = ROOT / "workflow/report"
TEMPLATES = sorted((SOURCES / "page").iterdir())
EMPTY = '<svg viewBox="0 0 9 9"><path id="a" style="fill: #1b2530"/></svg>'


def texts_of(language: str) -> Path:
    """Return a table of texts."""
    return SOURCES / f"texts/{language}.yaml"


ENGLISH = Texts.read(texts_of("en"))


def run_files(made: Results) -> dict[str, Any]:
    """Return what all stages of the report read of the runs."""
    names = ("metrics", "results", "evaluations", "elsewhere", "timings")
    return {name: getattr(made, name) for name in (*names, "languages", "latencies", "rollouts")}


def drawn(
    made: Results,
    folder: Path,
    names: Sequence[str] | None = None,
    language: str = "en",
) -> dict[str, Path]:
    """Draw some figures, by default all; return the SVGs by name."""
    paths = {name: folder / f"{name}.svg" for name in names or made.settings.figures}
    figures(
        made.settings,
        **run_files(made),
        manifests=made.manifests,
        actions=made.actions,
        splits=made.splits,
        audits=made.audits,
        predictions=made.predictions,
        paths=made.paths,
        comparison=made.comparison,
        texts=texts_of(language),
        labels=texts_of("en"),
        drawings=list(paths.values()),
        captions=folder / "captions.json",
    )
    return paths


def hollow(made: Results, folder: Path) -> dict[str, Path]:
    """Return figures that show nothing, for tests of the page alone: drawing takes seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.svg" for name in made.settings.figures}
    for path in paths.values():
        path.write_text(EMPTY)
    said = {name: {"title": name, "caption": "", "alt": f"alt of {name}"} for name in paths}
    write_json(folder / "captions.json", said)
    return paths


def written(
    made: Results,
    svgs: dict[str, Path] | None = None,
    *,
    templates: Sequence[Path] = TEMPLATES,
    **options: Any,
) -> Path:
    """Write the page; without figures, around hollow ones."""
    paths = hollow(made, made.folder / "figures") if svgs is None else svgs
    report = made.folder / "report.html"
    page(
        made.settings,
        **run_files(made),
        manifests=made.manifests,
        splits=made.splits,
        audits=made.audits,
        comparison=made.comparison,
        provenance=made.provenance,
        figures=list(paths.values()),
        captions=next(iter(paths.values())).parent / "captions.json",
        templates=list(templates),
        texts=texts_of(made.settings.report.language),
        report=report,
        **options,
    )
    return report

"""Write the report's page: one file, without references to others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, TemplateSyntaxError
from markupsafe import Markup

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import FIGURES, PageSettings
from mobile_vla.data.result import DatasetSplit, Role
from mobile_vla.errors import UserError
from mobile_vla.files import read_json, write_text
from mobile_vla.layout import CaptionFiles, ComparisonFiles, FigureFiles, ReportFiles
from mobile_vla.reporting import format as text
from mobile_vla.reporting.epochs import epoch_rows
from mobile_vla.reporting.error_table import error_table
from mobile_vla.reporting.load import load_datasets, load_runs
from mobile_vla.reporting.origins import origin, summary
from mobile_vla.reporting.palette import color_of
from mobile_vla.reporting.result import Caption
from mobile_vla.reporting.selection import populations
from mobile_vla.reporting.settings_table import settings_table
from mobile_vla.reporting.sources import SECTIONS, template_files, texts_file
from mobile_vla.reporting.summary import lines
from mobile_vla.reporting.svg import inline
from mobile_vla.reporting.sweeps import sweep_tables
from mobile_vla.reporting.texts import Texts
from mobile_vla.reporting.verdict import overview, pair_said, scored_on, span_of

FILTERS = {
    "number": text.number,
    "percent": text.percent,
    "duration": text.duration,
    "size": text.size,
    "parameters": text.parameters,
    "whole": text.whole,
    "cell": text.cell,
}
MAIN = "page.html.j2"
SCRIPT_WORDS = ("auto", "light", "dark", "filter", "sorted", "rows")


State = Literal["failed", "waiting"]


@dataclass(frozen=True)
class Missing:
    """A run without results.

    Args:
        state: ``failed`` where there is a log, else ``waiting``.
        log: the log's path; empty where there is none.
        tail: its last lines.
    """

    experiment: str
    run: str
    state: State
    log: str
    tail: str


def page(settings: PageSettings, results: Path) -> None:
    """Write the page.

    Args:
        settings: runs, datasets and figures.
        results: the folder of all results.

    Raises:
        UserError: an input is missing or is not what the report reads, or a template is wrong.
    """
    write_page(settings, results, results, settings.provenance(results))


def write_page(
    settings: PageSettings,
    results: Path,
    derived: Path,
    provenance: Sequence[Path],
    missing: Sequence[Missing] = (),
) -> None:
    """Write the page of results that lie in another folder than figures and comparison.

    Args:
        settings: runs, datasets and figures.
        results: the folder of the results of datasets and runs.
        derived: the folder of the comparison and the figures, and of the page to write.
        provenance: the ``*.provenance.json`` of the jobs, in the order in which they are listed.
        missing: runs that did not finish, on a partial report.
    """
    runs = load_runs(settings, results)
    t, names = Texts.read(texts_file(settings.language)), settings.experiments()
    scores = ComparisonResult.read(ComparisonFiles.below(derived).comparison)
    origins = [origin(path, t) for path in provenance]
    context = {
        "t": t,
        "language": settings.language,
        "title": settings.title,
        "sections": SECTIONS,
        "runs": runs,
        "experiments": names,
        "colors": {name: color_of(name, names) for name in names},
        "scores": scores,
        "summary": lines(scores, runs, t),
        "overview": overview(scores, t),
        "missing_runs": missing,
        "datasets": load_datasets(settings, results),
        "comparison": settings_table(runs),
        "sweeps": sweep_tables(settings.sweeps, runs, scores),
        "trained_groups": list(
            dict.fromkeys(group for run in runs for group in run.training.parameters.trainable)
        ),
        "error_tables": [error_table(group, t) for group in populations(runs)],
        "figures": _figures(settings, derived),
        "places": FIGURES,
        "origins": origins,
        "origin_summary": summary(origins, t),
        "epoch_rows": epoch_rows,
        "scored_on": scored_on,
        "pair_said": pair_said,
        "span_of": span_of,
        "elsewhere": any(run.elsewhere for run in runs),
        "fold_sizes": fold_sizes,
        "missing": text.MISSING,
        "script_words": _inert({name: t(f"script.{name}") for name in SCRIPT_WORDS}),
    }
    write_text(ReportFiles.below(derived).report, _render(context))


def _figures(settings: PageSettings, derived: Path) -> dict[str, dict[str, str]]:
    """Return each figure's title, caption, alternative text and ``<svg>`` element."""
    path = CaptionFiles.below(derived).captions
    captions = read_json(path)
    figures = {}
    for name in settings.figures:
        words = Caption.checked(path, captions.get(name))
        svg = inline(FigureFiles.below(derived, figure=name).svg, words.alt)
        figures[name] = {**words.model_dump(), "svg": svg}
    return figures


def fold_sizes(split: DatasetSplit, role: Role, t: Texts) -> str:
    """Return how many episodes have a role: one number, or the smallest and largest fold's."""
    sizes = sorted({len(fold.roles[role]) for fold in split.folds})
    return t.between(text.whole(sizes[0]), text.whole(sizes[-1]))


def _inert(words: dict[str, str]) -> str:
    """Return JSON that cannot end a ``<script>`` element."""
    return json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")


def _render(context: dict[str, Any]) -> str:
    sources = {}
    for path in template_files():
        if not path.is_file():
            raise UserError(f"{path}: not there; restore it from the repository")
        sources[path.name] = path.read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=DictLoader(sources),
    )
    environment.filters.update(FILTERS)
    environment.globals.update(context)
    try:
        return environment.get_template(MAIN).render(
            style=Markup(sources["style.css"]), script=Markup(sources["script.js"])
        )
    except TemplateSyntaxError as error:
        place = f"{error.name}:{error.lineno}"
        raise UserError(f"{place}: {error.message}; mend the template") from None
    except TemplateError as error:
        place = str(template_files()[0].parent)
        raise UserError(f"{place}: {error.message}; mend the template") from None

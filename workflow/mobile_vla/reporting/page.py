"""Write the report's page: one file, without references to others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, TemplateSyntaxError
from markupsafe import Markup, escape

from mobile_vla.config.reporting import FIGURES, PageSettings
from mobile_vla.data.result import DatasetSplit, Role
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.files import read_json, write_text
from mobile_vla.layout import CaptionFiles, FigureFiles, ReportFiles
from mobile_vla.reporting import format as text
from mobile_vla.reporting.advice.facts import Facts
from mobile_vla.reporting.advice.rules import advise
from mobile_vla.reporting.answer import answers
from mobile_vla.reporting.driving_ranks import rank_tables
from mobile_vla.reporting.load import (
    Run,
    epoch_rows,
    load_datasets,
    load_runs,
    load_scores,
    load_trials,
)
from mobile_vla.reporting.measured import names_of
from mobile_vla.reporting.page_files import SECTIONS, template_files
from mobile_vla.reporting.page_tables import error_table, origin, origin_summary, settings_table
from mobile_vla.reporting.palette import THEME, color_of
from mobile_vla.reporting.ranking import OPTIONAL, rankings
from mobile_vla.reporting.result import Caption
from mobile_vla.reporting.selection import populations
from mobile_vla.reporting.summary import lines
from mobile_vla.reporting.sweeps import sweep_tables
from mobile_vla.reporting.trials import pair_sentence, run_of, trial_answers
from mobile_vla.reporting.units import listed_units, text_in_units
from mobile_vla.reporting.verdict import pair_said, scored_on, span_of
from mobile_vla.texts import MISSING, Texts

SCRIPT_WORDS = ("auto", "light", "dark", "filter", "sorted", "rows", "columns")
PIXELS_PER_POINT = 1.5  # 4/3 is paper size; on a screen a little larger reads better


@dataclass(frozen=True)
class Missing:
    """A run without results."""

    experiment: str
    run: str
    state: Literal["failed", "waiting"]  # failed where there is a log
    log: str = ""
    tail: str = ""  # the log's last lines


def page(settings: PageSettings, results: Path) -> None:
    """Write the page.

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
    """Write the page of results, with comparison, figures and page in the folder ``derived``.

    Args:
        provenance: the ``*.provenance.json`` of the jobs, in the order in which they are listed.
        missing: runs that did not finish, on a partial report.
    """
    runs = load_runs(settings, results)
    t, names = Texts.of(settings.language), settings.experiments()
    scores = load_scores(derived)
    datasets = load_datasets(settings, results)
    trials = load_trials(settings, results)
    sweeps = sweep_tables(settings.sweeps, runs, scores)
    origins = [origin(path, t) for path in provenance]
    # as JSON that cannot end a <script> element
    words = json.dumps({name: t(f"script.{name}") for name in SCRIPT_WORDS}, ensure_ascii=False)
    context = {
        "t": t,
        "language": settings.language,
        "title": title_of(settings, t),
        "print": settings.print,
        "sections": SECTIONS,
        "runs": runs,
        "experiments": names,
        "colors": {name: color_of(name, names) for name in names},
        "scores": scores,
        "trials": trials,
        "trial_answers": trial_answers(trials, t),
        "answers": answers(scores, runs, datasets, t, trials),
        "rank_tables": rank_tables(scores, t),
        "rankings": rankings(scores, runs, settings.units, t, trials),
        "optional_columns": OPTIONAL,
        "advice": advise(
            Facts(scores, runs, {own.manifest.dataset: own for own in datasets}, sweeps, t)
        ),
        "summary": lines(scores, runs, t),
        "scales": _scales(runs),
        "missing_runs": missing,
        "datasets": datasets,
        "comparison": settings_table(runs, settings.notes),
        "units": settings.units,
        "sweeps": sweeps,
        "trained_groups": list(
            dict.fromkeys(group for run in runs for group in run.training.parameters.trainable)
        ),
        "error_tables": [error_table(group, t, settings.units) for group in populations(runs)],
        "figures": _figures(settings, derived),
        "places": FIGURES,
        "origins": origins,
        "origin_summary": origin_summary(origins, t),
        "missing": MISSING,
        "script_words": words.replace("<", "\\u003c"),
    }
    write_text(ReportFiles.below(derived).report, _render(context))


def title_of(settings: PageSettings, t: Texts) -> str:
    """Return the page's title: that of config.yaml, or the language's own."""
    return settings.title or t("page.title")


def _scales(runs: Sequence[Run]) -> str:
    """Return the commands that become 1, with their datasets where these have different ones."""
    scales = dict.fromkeys((_scale(run.evaluation), run.settings.dataset) for run in runs)
    if len({scale for scale, _ in scales}) == 1:
        return next(iter(scales))[0]
    return ", ".join(f"{scale} ({dataset})" for scale, dataset in scales)


def _scale(scored: EvaluationResult) -> str:
    """Return the recorded command that becomes 1, of each dimension where they have their own."""
    units = scored.recorded_units
    if all(unit == 1 for unit in units.values()):
        return text.number(scored.action_scale)
    return ", ".join(f"{name} {unit:g}" for name, unit in units.items())


def _figures(settings: PageSettings, derived: Path) -> dict[str, dict[str, str]]:
    """Return each figure's title, caption, alternative text and ``<svg>`` element."""
    path = CaptionFiles.below(derived).captions
    captions = read_json(path)
    figures = {}
    for name in settings.figures:
        words = Caption.checked(path, captions.get(name))
        if words.empty:
            continue
        svg = inline(FigureFiles.below(derived, figure=name).svg, words.alt)
        figures[name] = {**words.model_dump(), "svg": svg}
    return figures


def inline(path: Path, alt: str) -> Markup:
    """Return a figure as an ``<svg>`` element whose colours follow the page's.

    The file's stem becomes the prefix of all ids, since ids that two figures share would make one
    use the other's clip paths.

    Raises:
        UserError: the file is missing or holds no ``<svg>`` element.
    """
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    match = re.search(r"<svg\b([^>]*)>(.*</svg>)", content, re.DOTALL)
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
    body = body.replace("url(#", f"url(#{prefix}-")
    for color, variable in THEME.items():
        body = re.sub(rf"{color}\b", f"var({variable})", body)
    width = float(box.group(1).split()[2]) * PIXELS_PER_POINT
    return Markup(
        f'<svg viewBox="{box.group(1)}" style="width:{width:.0f}px" role="img" '
        f'aria-label="{escape(alt)}">{body}'
    )


def fold_sizes(split: DatasetSplit, role: Role, t: Texts) -> str:
    """Return how many episodes have a role: one number, or the smallest and largest fold's."""
    sizes = sorted({len(fold.roles[role]) for fold in split.folds})
    return t.between(text.whole(sizes[0]), text.whole(sizes[-1]))


def attributes(found: Sequence[object], *names: str) -> list[tuple[Any, ...]]:
    """Return attributes of each; None of what is not there."""
    return [tuple(getattr(each, name, None) for name in names) for each in found]


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
    numbers = (
        text.aligned,
        text.number,
        text.percent,
        text.whole_percent,
        text.duration,
        text.size,
        text.parameters,
        text.whole,
    )
    environment.filters.update((each.__name__, each) for each in numbers)
    functions = (
        *(attributes, text.with_ends, epoch_rows, fold_sizes, listed_units),
        *(pair_said, scored_on, span_of, text_in_units, pair_sentence, run_of, names_of),
    )
    environment.globals.update((each.__name__, each) for each in functions)
    environment.globals.update(context)
    try:
        return environment.get_template("page.html.j2").render(
            style=Markup(sources["style.css"]), script=Markup(sources["script.js"])
        )
    except TemplateError as error:
        place = str(template_files()[0].parent)
        if isinstance(error, TemplateSyntaxError):
            place = f"{error.name}:{error.lineno}"
        raise UserError(f"{place}: {error.message}; mend the template") from None

"""The stage that writes the report's page: one file, without references to others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, TemplateSyntaxError
from markupsafe import Markup

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import ReportSettings
from mobile_vla.data.result import DatasetSplit, Role
from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla.reporting import format as text
from mobile_vla.reporting.captions import read_captions
from mobile_vla.reporting.comparison import compare
from mobile_vla.reporting.drawing.error_by_scenario import label_of
from mobile_vla.reporting.epochs import epoch_rows
from mobile_vla.reporting.error_table import error_table
from mobile_vla.reporting.load import experiments_of, load_datasets, load_runs
from mobile_vla.reporting.missing import Missing
from mobile_vla.reporting.origins import origin, summary
from mobile_vla.reporting.palette import color_of
from mobile_vla.reporting.selection import populations
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
}
SECTIONS = ("summary", "data", "experiments", "training", "evaluation", "cost", "provenance")
MAIN = "page.html.j2"
SCRIPT_WORDS = ("auto", "light", "dark", "filter", "sorted", "rows")


def page(
    settings: ReportSettings,
    *,
    manifests: list[Path],
    splits: list[Path],
    audits: list[Path],
    metrics: list[Path],
    results: list[Path],
    evaluations: list[Path],
    elsewhere: list[Path],
    comparison: Path,
    timings: list[Path],
    languages: list[Path],
    latencies: list[Path],
    rollouts: list[Path],
    provenance: list[Path],
    figures: list[Path],
    captions: Path,
    templates: list[Path],
    texts: Path,
    report: Path,
    missing: Sequence[Missing] = (),
) -> None:
    """Write the page.

    Args:
        settings: the report's settings.
        manifests: each dataset's ``manifest.json``, in the order of ``settings.datasets``.
        splits: each dataset's ``split.json``.
        audits: each dataset's ``audit.json``.
        metrics: each run's ``metrics.csv``, in the order of ``settings.runs``.
        results: each run's ``training_results.json``.
        evaluations: each run's ``evaluation.json``.
        elsewhere: each run's ``evaluation.json`` on each dataset of its ``evaluate_on``.
        comparison: ``comparison.json``.
        timings: each experiment's ``timing.json``, in the order of the experiments' first runs.
        languages: each run's ``language.json``.
        latencies: each experiment's ``latency.json``.
        rollouts: the ``rollouts.json`` of each run that was rolled out.
        provenance: the ``*.provenance.json`` of the jobs, in the order in which they are listed.
        figures: the figures' SVG files; their stems are their names in the templates.
        captions: the figures' titles, captions and alternative texts.
        templates: the page's jinja2 templates, style and script.
        texts: the words of the page.
        report: where to write the page.
        missing: runs that did not finish, on a partial report.

    Raises:
        UserError: an input is missing or is not what the report reads, or a template is wrong.
    """
    runs = load_runs(
        settings,
        metrics=metrics,
        results=results,
        evaluations=evaluations,
        timings=timings,
        languages=languages,
        latencies=latencies,
        rollouts=rollouts,
        elsewhere=elsewhere,
    )
    t, names = Texts.read(texts), experiments_of(settings)
    scores = ComparisonResult.read(comparison)
    origins, said = [origin(path, t) for path in provenance], read_captions(captions)
    context = {
        "t": t,
        "language": settings.report.language,
        "title": settings.report.title,
        "sections": SECTIONS,
        "runs": runs,
        "experiments": names,
        "colors": {name: color_of(name, names) for name in names},
        "scores": scores,
        "summary": lines(scores, runs, t),
        "overview": overview(scores, t),
        "missing_runs": missing,
        "datasets": load_datasets(settings, manifests=manifests, splits=splits, audits=audits),
        "comparison": compare(runs),
        "sweeps": sweep_tables(settings.sweeps, runs, scores),
        "trained_groups": list(
            dict.fromkeys(group for run in runs for group in run.training.parameters.trainable)
        ),
        "error_tables": [error_table(group, t) for group in populations(runs)],
        "figures": {
            path.stem: {
                **said[path.stem].model_dump(),
                "svg": inline(path, said[path.stem].alt),
            }
            for path in figures
        },
        "origins": origins,
        "origin_summary": summary(origins, t),
        "epoch_rows": epoch_rows,
        "scored_on": scored_on,
        "pair_said": pair_said,
        "span_of": span_of,
        "label_of": label_of,
        "elsewhere": any(run.elsewhere for run in runs),
        "fold_sizes": fold_sizes,
        "missing": text.MISSING,
        "script_words": _inert({name: t(f"script.{name}") for name in SCRIPT_WORDS}),
    }
    write_text(report, _render(templates, context))


def fold_sizes(split: DatasetSplit, role: Role, t: Texts) -> str:
    """Return how many episodes play a role: one number, or the smallest and largest fold's."""
    sizes = sorted({len(fold.roles[role]) for fold in split.folds})
    return t.between(text.whole(sizes[0]), text.whole(sizes[-1]))


def _inert(words: dict[str, str]) -> str:
    """Return JSON that ends no ``<script>``."""
    return json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")


def _render(templates: Sequence[Path], context: dict[str, Any]) -> str:
    sources = {}
    for path in templates:
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
    own = {"style": Markup(sources["style.css"]), "script": Markup(sources["script.js"])}
    try:
        return environment.get_template(MAIN).render(own)
    except TemplateSyntaxError as error:
        place = f"{error.name}:{error.lineno}"
        raise UserError(f"{place}: {error.message}; mend the template") from None
    except TemplateError as error:
        raise UserError(f"{_place(templates)}: {error.message}; mend the template") from None


def _place(templates: Sequence[Path]) -> Path:
    return templates[0].parent

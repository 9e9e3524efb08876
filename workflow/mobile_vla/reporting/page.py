"""The stage that writes the report's page: one file, without references to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, UndefinedError

from mobile_vla.config.reporting import ReportSettings
from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla.reporting import format as text
from mobile_vla.reporting.comparison import compare
from mobile_vla.reporting.epochs import epoch_rows
from mobile_vla.reporting.error_table import error_table
from mobile_vla.reporting.findings import findings
from mobile_vla.reporting.load import experiments_of, load_datasets, load_runs
from mobile_vla.reporting.origins import origin, summary
from mobile_vla.reporting.palette import color_of
from mobile_vla.reporting.records import Split
from mobile_vla.reporting.scores import Scores
from mobile_vla.reporting.selection import populations
from mobile_vla.reporting.svg import inline
from mobile_vla.reporting.verdict import between, interval, line, overview, scored_on

FILTERS = {
    "number": text.number,
    "percent": text.percent,
    "duration": text.duration,
    "size": text.size,
    "parameters": text.parameters,
    "whole": text.whole,
    "words": text.words,
}


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
    template: Path,
    report: Path,
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
        figures: the figures' SVG files; their stems are their names in the template.
        template: the page's jinja2 template, with all captions.
        report: where to write the page.

    Raises:
        UserError: an input is missing or is not what the report reads, or the template is wrong.
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
    names = experiments_of(settings)
    by_name = {name: [run for run in runs if run.experiment == name] for name in names}
    scores = Scores.read(comparison)
    origins = [origin(path) for path in provenance]
    found = findings(runs)
    context = {
        "title": settings.report.title,
        "runs": runs,
        "experiments": by_name,
        "colors": {name: color_of(name, names) for name in names},
        "scores": scores,
        "verdicts": [line(own) for own in scores.experiments],
        "overview": overview(scores),
        "interval": interval,
        "between": between,
        "datasets": load_datasets(settings, manifests=manifests, splits=splits, audits=audits),
        "comparison": compare(runs),
        "trained_groups": list(
            dict.fromkeys(group for run in runs for group in run.training.parameters.trainable)
        ),
        "error_tables": [error_table(group) for group in populations(runs)],
        "figures": {path.stem: inline(path, found.get(path.stem, "")) for path in figures},
        "findings": found,
        "origins": origins,
        "origin_summary": summary(origins),
        "epoch_rows": epoch_rows,
        "scored_on": scored_on,
        "elsewhere": any(run.elsewhere for run in runs),
        "fold_sizes": fold_sizes,
        "count": text.count,
        "unit": text.UNIT,
        "missing": text.MISSING,
    }
    write_text(report, _render(template, context))


def fold_sizes(split: Split, role: str) -> str:
    """Return how many episodes play a role: one number, or the smallest and largest fold's."""
    sizes = sorted({len(fold.roles[role]) for fold in split.folds})
    low, high = text.whole(sizes[0]), text.whole(sizes[-1])
    return low if low == high else f"{low} to {high}"


def _render(template: Path, context: dict[str, Any]) -> str:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(FILTERS)
    try:
        return environment.from_string(template.read_text(encoding="utf-8")).render(context)
    except FileNotFoundError:
        raise UserError(f"{template}: not there; restore it from the repository") from None
    except TemplateSyntaxError as error:
        raise UserError(f"{template}:{error.lineno}: {error.message}; mend the template") from None
    except UndefinedError as error:
        raise UserError(f"{template}: {error.message}; mend the template") from None

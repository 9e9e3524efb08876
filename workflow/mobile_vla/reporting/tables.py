"""Write the report's tables: CSV with all digits, and LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobile_vla.config.reporting import TABLES, TableSettings
from mobile_vla.files import write_text
from mobile_vla.layout import TableFiles
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import load_runs, load_scores, load_trials
from mobile_vla.reporting.sweeps import sweep_tables
from mobile_vla.reporting.table_lines import (
    COLUMNS,
    Line,
    cell_lines,
    drive_lines,
    drive_pair_lines,
    elsewhere_lines,
    epoch_lines,
    error_lines,
    experiment_line,
    pair_lines,
    part_lines,
    step_lines,
    sweep_lines,
    verdict_lines,
)

ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "\u00a0": "~",
}


def tables(settings: TableSettings, results: Path) -> None:
    """Write the tables of errors, losses, verdicts and sweeps, as CSV and as LaTeX."""
    runs = load_runs(settings, results)
    scores = load_scores(results)
    sweeps = sweep_tables(settings.sweeps, runs, scores)
    trials = load_trials(settings, results)
    lines: dict[str, list[Line]] = {
        "experiments": [experiment_line(run, settings.units) for run in runs],
        "epochs": [line for run in runs for line in epoch_lines(run)],
        "errors": [line for run in runs for line in error_lines(run, settings.units)],
        "verdicts": list(verdict_lines(scores)),
        "pairs": list(pair_lines(scores)),
        "by_step": [line for run in runs for line in step_lines(run)],
        "by_cell": [line for run in runs for line in cell_lines(run)],
        "by_part": [line for run in runs for line in part_lines(run)],
        "sweeps": [line for sweep in sweeps for line in sweep_lines(sweep)],
        "elsewhere": [line for run in runs for line in elsewhere_lines(run, settings.units)],
        "drives": [line for trial in trials for line in drive_lines(trial)],
        "drive_pairs": [line for trial in trials for line in drive_pair_lines(trial)],
    }
    # A paper has room for the differences to the best baselines alone.
    best = {judged.experiment: judged.best_baseline.name for judged in scores.experiments}
    verdicts = [line for line in lines["verdicts"] if best[line["experiment"]] == line["against"]]
    for name in settings.table_names():
        files = TableFiles.below(results, table=name)
        columns = list(COLUMNS[name] if name in COLUMNS else lines[name][0])
        write_text(files.csv, _csv(lines[name], columns))
        if TABLES[name]:
            paper = verdicts if name == "verdicts" else lines[name]
            write_text(files.latex, _latex(paper, columns))


def _csv(lines: Sequence[Line], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _latex(lines: Sequence[Line], columns: Sequence[str]) -> str:
    """Return a ``tabular`` that needs ``\\usepackage{booktabs}``.

    Columns of numbers are set to the right, and fractions rounded as on the page; None is a dash.
    """
    numeric = [any(_is_number(line[name]) for line in lines) for name in columns]
    kinds = "".join("r" if each else "l" for each in numeric)
    head = _row([_escape(name.replace("_", " ")) for name in columns])
    rows = [_row([_cell(line[name]) for name in columns]) for line in lines]
    start = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule"]
    return "\n".join([*start, *rows, r"\bottomrule", r"\end{tabular}", ""])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(value: Any) -> str:
    if value is None:
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _escape(number(value) if isinstance(value, float) else str(value))


def _escape(text: str) -> str:
    return "".join(ESCAPED.get(character, character) for character in text)

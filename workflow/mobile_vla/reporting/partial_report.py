"""Write the page of the runs that have finished, while others run, wait, or have failed."""

from __future__ import annotations

import logging
from pathlib import Path

from mobile_vla.comparison.compare import compare
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.reporting import PartialSettings, ReportedRun, drawable
from mobile_vla.errors import UserError
from mobile_vla.layout import AuditFiles, ComparisonFiles, PartialFiles, TrialFiles
from mobile_vla.reporting.figures import draw
from mobile_vla.reporting.page import Missing, write_page

log = logging.getLogger(__name__)

TAIL = 12  # lines of a log


def partial_report(settings: PartialSettings, results: Path) -> None:
    """Write the page of the runs whose files are there, as they are, and list the others.

    Unlike the whole report it waits for nothing and makes nothing anew: a result that an edit made
    out of date is shown as it is. Its comparison and figures lie beside it.

    Raises:
        UserError: no run has finished.
    """
    page = settings.report
    runs, missing = [], []
    for run in page.runs:
        files = [*run.numbers(results), *run.arrays(results)]
        absent = next((path for path in files if not path.is_file()), None)
        if absent is None:
            runs.append(run)
        else:
            missing.append(_missing(run, absent, results))
    if not runs:
        raise UserError(
            f"{results / 'experiments'}: none of {len(missing)} runs has finished yet; "
            "`snakemake --cores 1` runs them, and their logs are in results/logs/"
        )
    trials = tuple(
        name for name in page.trials if TrialFiles.below(results, trial=name).trial.is_file()
    )
    drawn = drawable(runs, page.sweeps, trials)
    finished = page.model_copy(
        update={
            "runs": tuple(runs),
            "datasets": tuple(
                name
                for name in page.datasets
                if AuditFiles.below(results, dataset=name).report.is_file()
            ),
            "trials": trials,
            "figures": tuple(name for name in page.figures if name in drawn),
        }
    )
    report = PartialFiles.below(results).report
    derived = report.parent
    compared = tuple(
        ComparedRun(
            **run.names(), members=run.members, rolled_out=run.rolled_out, driven=run.driven
        )
        for run in runs
    )
    compare(
        CompareSettings(runs=compared, uncertainty=settings.uncertainty),
        results,
        ComparisonFiles.below(derived),
    )
    draw(finished, results, derived, formats=("svg",))  # what the page shows
    provenance = [path for path in finished.upstream_provenance(results) if path.is_file()]
    write_page(finished, results, derived, provenance, missing)
    log.info("%s: %d of %d runs", report, len(runs), len(page.runs))


def _missing(run: ReportedRun, absent: Path, results: Path) -> Missing:
    """Return a run that has not finished, with the log of the job that writes an absent file."""
    place = next(job.log for job in run.jobs(results) if absent in job.files.listed())
    if not place.is_file():
        return Missing(run.experiment, run.run, "waiting")
    lines = place.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(lines[-TAIL:])
    return Missing(run.experiment, run.run, "failed", place.as_posix(), tail)

"""The report's crate of synthetic results."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.reporting import CrateSettings
from mobile_vla.layout import CrateFiles, ReportFiles
from mobile_vla.reporting.crate import crate
from support.project import ROOT
from support.report import tabulated, written
from support.results import Results, make_results
from support.training_results import write_provenance


def make_packable(folder: Path) -> Results:
    """Write the results of an experiment, with page, tables and a configuration."""
    made = make_results(folder, 1)
    tabulated(made)
    written(made)
    write_provenance(ReportFiles.provenance(made.results), "page", dirty=False)
    (made.folder / "config.yaml").write_text("title: lab\n")
    return made


def packed(made: Results, folder: Path, episodes: dict[str, str] | None = None) -> Path:
    """Pack results that lie in a folder; return the crate."""
    files = CrateFiles.below(folder / "results")
    crate(
        CrateSettings(page=made.settings, episodes=episodes or {}),
        folder / "results",
        configuration=[folder / "config.yaml"],
        snakefile=ROOT / "workflow/Snakefile",
        license=ROOT / "LICENSE",
        files=files,
    )
    return files.crate

"""The command ``show_findings``: print the findings about several datasets, once more."""

from __future__ import annotations

import logging
from pathlib import Path

from mobile_vla.audit.audit import table
from mobile_vla.audit.result import Audit

log = logging.getLogger(__name__)


def show_findings(*, reports: list[Path]) -> None:
    """Print the findings about datasets, as the last lines of many jobs.

    Args:
        reports: ``audit.json`` of each dataset.
    """
    for path in reports:
        log.info("%s\n  page: %s\n", table(Audit.read(path)), path.with_suffix(".html"))
    if not reports:
        log.info("no experiment of the report uses a dataset, so none is audited")

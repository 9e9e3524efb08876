"""Settings of the report."""

from __future__ import annotations

from typing import Any

from mobile_vla.config.base import Settings


class Report(Settings):
    """What the report's page says of itself."""

    title: str = "Mobile VLA experiments"
    """Heading of the page."""


class ReportedRun(Settings):
    """One run in the report, with the settings that its experiment was given."""

    experiment: str
    run: str
    dataset: str
    backbone: str
    evaluate_on: tuple[str, ...] = ()
    rolled_out: bool = False
    """Whether its dataset's world is known, so that there is a ``rollouts.json``."""
    settings: dict[str, Any]


class ReportSettings(Settings):
    """What the report's stages are given; lists of files come in the order of ``runs``."""

    runs: tuple[ReportedRun, ...]
    datasets: tuple[str, ...]
    report: Report

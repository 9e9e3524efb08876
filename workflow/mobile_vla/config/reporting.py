"""Settings of the report."""

from __future__ import annotations

from typing import Any, Literal

from mobile_vla.config.base import Settings
from mobile_vla.config.sweep import Sweep
from mobile_vla.config.uncertainty import Uncertainty

Language = Literal["en", "ko"]

FIGURES = (
    *("action_sequences", "coverage"),
    *("loss_curves", "overfitting_gap"),
    *("error_by_dimension", "differences"),
    *("error_by_step", "error_by_frame", "error_by_scenario", "confusion", "tolerance"),
    *(
        "closed_loop",
        "language",
        "sweeps",
        "error_by_training_size",
        "episodes",
        "velocity_traces",
        "predicted_paths",
    ),
    *("speed_ablation", "epoch_time", "latency"),
)
"""Names of all figures, in the order of the page."""


class Report(Settings):
    """What the report's page says of itself."""

    title: str = "Mobile VLA experiments"
    """Heading of the page."""
    language: Language = "en"
    """Language of the page: `en` or `ko`. What stands in the figures is English."""


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
    sweeps: tuple[Sweep, ...] = ()
    figures: tuple[str, ...]
    """Their names, in the order of the page."""
    report: Report


class PartialSettings(Settings):
    """What the report of the finished runs is given: it compares them itself."""

    report: ReportSettings
    uncertainty: Uncertainty

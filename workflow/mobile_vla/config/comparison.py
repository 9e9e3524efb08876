"""Settings of the comparison of experiments."""

from __future__ import annotations

from mobile_vla.config.base import Settings
from mobile_vla.config.uncertainty import Uncertainty


class ComparedRun(Settings):
    """One run of an experiment."""

    experiment: str
    run: str


class CompareSettings(Settings):
    """What ``compare`` is given; lists of files come in the order of ``runs``."""

    runs: tuple[ComparedRun, ...]
    uncertainty: Uncertainty

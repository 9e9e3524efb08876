"""Settings of the comparison of experiments."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.base import Gathered, Settings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.layout import EvaluationFiles


class ComparedRun(Settings):
    """One run of an experiment."""

    experiment: str
    run: str


class CompareSettings(Gathered):
    """What ``compare`` is given."""

    runs: tuple[ComparedRun, ...]
    uncertainty: Uncertainty

    def files(self, results: Path) -> list[Path]:
        """Return each run's scores and predictions."""
        each = [
            EvaluationFiles.below(results, experiment=own.experiment, run=own.run)
            for own in self.runs
        ]
        return [*(one.evaluation for one in each), *(one.predictions for one in each)]

"""Settings of the comparison of experiments."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.base import Gathered, Settings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.layout import EvaluationFiles, OtherEvaluationFiles


class ComparedRun(Settings):
    """One run of an experiment."""

    experiment: str
    run: str
    members: tuple[str, ...] = ()
    """The datasets of a mixture, on each of which it is scored by itself."""

    def on_members(self, results: Path) -> dict[str, OtherEvaluationFiles]:
        """Return its scores on each dataset of its mixture."""
        names = {"experiment": self.experiment, "run": self.run}
        return {
            dataset: OtherEvaluationFiles.below(results, **names, dataset=dataset)
            for dataset in self.members
        }


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
        each += [files for own in self.runs for files in own.on_members(results).values()]
        return [*(one.evaluation for one in each), *(one.predictions for one in each)]

"""Settings of the comparison of experiments."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.base import Gathered, Settings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.layout import (
    EvaluationFiles,
    OtherEvaluationFiles,
    RolloutFiles,
    TrainingFiles,
)


class ComparedRun(Settings):
    """One run of an experiment."""

    experiment: str
    run: str
    members: tuple[str, ...] = ()
    """The datasets of a mixture, on each of which it is scored by itself."""
    rolled_out: bool = False
    """Whether its policy is evaluated in closed loop."""
    driven: bool = False
    """Whether its validation drives, so that checkpoints are evaluated in closed loop."""

    def names(self) -> dict[str, str]:
        """Return the names that tell its files from those of other runs."""
        return {"experiment": self.experiment, "run": self.run}

    def rollouts(self, results: Path) -> Path | None:
        """Return its ``rollouts.json``; None where no world is known."""
        files = RolloutFiles.below(results, **self.names())
        return files.rollouts if self.rolled_out else None

    def metrics(self, results: Path) -> Path | None:
        """Return its ``metrics.csv``; None where its validation does not drive."""
        return TrainingFiles.below(results, **self.names()).metrics if self.driven else None

    def on_members(self, results: Path) -> dict[str, OtherEvaluationFiles]:
        """Return its scores on each dataset of its mixture."""
        return {
            dataset: OtherEvaluationFiles.below(results, **self.names(), dataset=dataset)
            for dataset in self.members
        }


class CompareSettings(Gathered):
    """What ``compare`` is given."""

    runs: tuple[ComparedRun, ...]
    uncertainty: Uncertainty

    def files(self, results: Path) -> list[Path]:
        """Return each run's scores and predictions, and what came of its drives."""
        each = [EvaluationFiles.below(results, **own.names()) for own in self.runs]
        each += [files for own in self.runs for files in own.on_members(results).values()]
        drives = (
            path for own in self.runs for path in (own.rollouts(results), own.metrics(results))
        )
        return [
            *(one.evaluation for one in each),
            *(one.predictions for one in each),
            *(path for path in drives if path is not None),
        ]

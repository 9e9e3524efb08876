"""A run's scores and predictions, read from ``evaluation.json`` and ``predictions.npz``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobile_vla.errors import UserError
from mobile_vla.evaluation.metrics import sums_by
from mobile_vla.evaluation.result import POLICY, EvaluationResult
from mobile_vla.layout import EvaluationFiles


@dataclass(frozen=True, eq=False)
class RunScores:
    """A run's scores; predictions are read when they are needed, and not kept in memory."""

    evaluation: EvaluationResult
    predictions: Path
    names: np.ndarray  # (S,) the episode of each scored step
    frame: np.ndarray  # (S,) its frame
    ahead: np.ndarray  # (S,) number of frames from the window's last frame to it

    @classmethod
    def read(cls, files: EvaluationFiles, experiment: str, run: str) -> RunScores:
        """Open a run's results.

        Raises:
            UserError: a file is missing, damaged, or of another run.
        """
        evaluation = EvaluationResult.read(files.evaluation)
        if (evaluation.experiment, evaluation.run) != (experiment, run):
            raise UserError(
                f"{files.evaluation}: holds the scores of {evaluation.experiment}/{evaluation.run},"
                f" expected those of {experiment}/{run}; remove it and run snakemake again"
            )
        evaluation.predictions_file.verify(files.predictions)
        with np.load(files.predictions, allow_pickle=False) as data:
            window, step = np.nonzero(data["mask"])
            names, frame = data["episode"][window], data["frame"][window, step]
            return cls(evaluation, files.predictions, names, frame, data["ahead"][step])

    @property
    def fold(self) -> int:
        """The fold that is scored."""
        return self.evaluation.fold

    @property
    def predictors(self) -> tuple[str, ...]:
        """The policy, its baselines and its controls."""
        return (POLICY, *self.evaluation.baselines, *self.evaluation.controls)

    def keys(self, places: Mapping[str, int]) -> np.ndarray:
        """Return each step's episode, frame and frames ahead as one number, (S,) int64.

        ``places`` numbers the episodes, the same for all runs that are compared.
        """
        episode = np.array([places[name] for name in self.names.tolist()], dtype=np.int64)
        return (episode << 40) | (self.frame << 20) | self.ahead

    def absolute(
        self, episodes: Sequence[str], predictors: Sequence[str], kept: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum K predictors' errors, and their distances to the policy, by episode: (n, K) each.

        Args:
            episodes: names of the n episodes, each of which has a step that is kept.
            kept: (S,) bool, which steps count.
        """
        order = {name: index for index, name in enumerate(episodes)}
        place = np.array([order[name] for name in self.names[kept].tolist()], dtype=np.int64)
        errors, changes = [], []
        with np.load(self.predictions, allow_pickle=False) as data:
            mask = data["mask"]
            truth = data["truth"][mask][kept].astype(np.float64)
            policy = data[self.evaluation.array_of(POLICY)][mask][kept].astype(np.float64)
            for name in predictors:
                values = data[self.evaluation.array_of(name)][mask][kept]
                errors.append(sums_by(np.abs(values - truth), place, len(order)).sum(axis=1))
                changes.append(sums_by(np.abs(values - policy), place, len(order)).sum(axis=1))
        return np.stack(errors, axis=1), np.stack(changes, axis=1)

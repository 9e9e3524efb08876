"""What a run has scored, read back from its ``evaluation.json`` and ``predictions.npz``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.errors import UserError
from mobile_vla.evaluation.metrics import sums_by
from mobile_vla.files import read_json, verify

HELD = "policy"


@dataclass(frozen=True, eq=False)
class Stored:
    """One run's results; predictions are read when they are asked for, and not kept.

    Args:
        evaluation: content of ``evaluation.json``.
        predictions: path of ``predictions.npz``.
        names: (S,) the episode of each scored step.
        frame: (S,) its frame.
        ahead: (S,) how many frames after the window's last one it is.
    """

    evaluation: dict[str, Any]
    predictions: Path
    names: np.ndarray
    frame: np.ndarray
    ahead: np.ndarray

    @classmethod
    def read(cls, evaluation: Path, predictions: Path, experiment: str, run: str) -> Stored:
        """Open a run's results.

        Raises:
            UserError: a file is missing, damaged, or of another run.
        """
        content = read_json(evaluation)
        found = (content["experiment"], content["run"])
        if found != (experiment, run):
            raise UserError(
                f"{evaluation}: holds the scores of {'/'.join(found)}, expected those of "
                f"{experiment}/{run}; remove it and run snakemake again"
            )
        verify(predictions, content["predictions_file"])
        with np.load(predictions, allow_pickle=False) as data:
            window, step = np.nonzero(data["mask"])
            return cls(
                content,
                predictions,
                data["episode"][window],
                data["frame"][window, step],
                data["ahead"][step],
            )

    @property
    def fold(self) -> int:
        """The fold that it is scored on."""
        return int(self.evaluation["fold"])

    @property
    def predictors(self) -> tuple[str, ...]:
        """The policy, its baselines and its controls."""
        return (HELD, *self.evaluation["baselines"], *self.evaluation["controls"])

    def keys(self, places: Mapping[str, int]) -> np.ndarray:
        """Return what each step is, (S,) int64: its episode, frame, and frames ahead in one number.

        Args:
            places: a number for each episode, the same for all runs that are compared.
        """
        episode = np.array([places[name] for name in self.names.tolist()], dtype=np.int64)
        return (episode << 40) | (self.frame << 20) | self.ahead

    def absolute(
        self, episodes: Sequence[str], kept: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum absolute errors and changes over the steps of each episode.

        Args:
            episodes: names of the n episodes, each of which has a step that is kept.
            kept: (S,) bool, which steps count; None: all.

        Returns:
            (n, K) the predictors' absolute errors; (n, K) how far the policy is from each of them.
        """
        there = np.ones(len(self.names), dtype=bool) if kept is None else kept
        order = {name: index for index, name in enumerate(episodes)}
        place = np.array([order[name] for name in self.names[there].tolist()], dtype=np.int64)
        errors, changes = [], []
        with np.load(self.predictions, allow_pickle=False) as data:
            mask = data["mask"]
            truth = data["truth"][mask][there].astype(np.float64)
            own = data["prediction"][mask][there].astype(np.float64)
            for name in self.predictors:
                values = own if name == HELD else data[self._array(name)][mask][there]
                errors.append(sums_by(np.abs(values - truth), place, len(order)).sum(axis=1))
                changes.append(sums_by(np.abs(values - own), place, len(order)).sum(axis=1))
        return np.stack(errors, axis=1), np.stack(changes, axis=1)

    def _array(self, name: str) -> str:
        kind = "control" if name in self.evaluation["controls"] else "baseline"
        return f"{kind}_{name}"

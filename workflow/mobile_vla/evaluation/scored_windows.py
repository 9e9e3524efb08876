"""Windows that are scored, with their true actions, and their chunk steps as a flat list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mobile_vla.conventions import Dimension
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.windows import WindowTable

Scenario = Mapping[str, str | None]


@dataclass(frozen=True, eq=False)
class ScoredSteps:
    """The S chunk steps that exist; masked steps are left out."""

    window: np.ndarray  # (S,) index of the window that predicts the step
    episode: np.ndarray  # (S,) index of its episode in `ScoredWindows.episodes`
    frame: np.ndarray  # (S,) the action's frame, counted from 0 within the episode
    step: np.ndarray  # (S,) place in the chunk, from 0
    truth: np.ndarray  # (S, A) float64 in command units

    def __len__(self) -> int:
        return len(self.window)


@dataclass(frozen=True, eq=False)
class ScoredWindows:
    """N windows of E episodes, each with a chunk of C actions of A dimensions."""

    episodes: tuple[str, ...]  # their names
    groups: tuple[str, ...]  # that each episode is of, as the split has them
    scenarios: tuple[Scenario, ...]  # of each episode
    episode: np.ndarray  # (N,) index of each window's episode
    last_frame: np.ndarray  # (N,) index within the episode of the window's last frame
    ahead: np.ndarray  # (C,) frames from the window's last one to each step, from 0 or 1
    truth: np.ndarray  # (N, C, A) float32 in command units
    mask: np.ndarray  # (N, C) bool, true where the step exists
    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        table: WindowTable,
        actions: np.ndarray,
        target: str,
        dimensions: tuple[Dimension, ...],
    ) -> ScoredWindows:
        """Return the windows of a table, with episodes in the order of their first window.

        ``actions`` are (rows, A) the predicted dimensions of all the dataset's actions.
        """
        indices = list(dict.fromkeys(table.episode.tolist()))
        place = {index: number for number, index in enumerate(indices)}
        return cls(
            episodes=tuple(dataset.episodes[index].name for index in indices),
            groups=tuple(dataset.episodes[index].group for index in indices),
            scenarios=tuple(dataset.episodes[index].scenario for index in indices),
            episode=np.array([place[index] for index in table.episode.tolist()], dtype=np.int64),
            last_frame=table.last_frame,
            ahead=np.arange(table.mask.shape[1]) + (1 if target == "next" else 0),
            truth=actions[table.targets],
            mask=table.mask,
            dimensions=dimensions,
        )

    @property
    def frame(self) -> np.ndarray:
        """The frame of each chunk step, (N, C)."""
        return np.asarray(self.last_frame[:, None] + self.ahead)

    @cached_property
    def steps(self) -> ScoredSteps:
        """The steps that exist, window by window."""
        window, step = np.nonzero(self.mask)
        return ScoredSteps(
            window=window,
            episode=self.episode[window],
            frame=self.last_frame[window] + self.ahead[step],
            step=step,
            truth=self.truth[self.mask].astype(np.float64),
        )

    def flat(self, prediction: np.ndarray) -> np.ndarray:
        """Return the existing steps of a prediction (N, C, A) as (S, A) float64.

        Raises:
            ValueError: the prediction is not of these windows.
        """
        if prediction.shape != self.truth.shape:
            raise ValueError(f"prediction {prediction.shape} of windows {self.truth.shape}")
        return prediction[self.mask].astype(np.float64)

"""Read a dataset: its episodes and actions, addressed by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.result import Episode, Manifest
from mobile_vla.errors import UserError


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset's episodes in the manifest's order, with their actions.

    Row ``offsets[i] + t`` is frame ``t`` of episode ``i``: in actions, frames and features alike.
    """

    name: str
    digest: str
    """SHA-256 over the episodes' names and contents: what results are compared by."""
    episodes: tuple[Episode, ...]
    lengths: np.ndarray
    """(E,) int64, the number of frames of each episode."""
    offsets: np.ndarray
    """(E,) int64, the first row of each episode."""
    actions: np.ndarray
    """(rows, 3) float32 in command units, columns :data:`ACTION_COLUMNS`."""
    folder: Path
    """Where the manifest lies; the frames are in ``episodes/`` below it."""
    _indices: Mapping[str, int] = field(repr=False)

    @classmethod
    def load(cls, manifest: Path, actions: Path) -> Dataset:
        """Read ``manifest.json``, and ``actions.npy``, whose bytes are checked against it.

        Raises:
            UserError: a file is missing, is damaged, or the two do not belong together.
        """
        content = Manifest.read(manifest)
        content.actions_file.verify(actions)
        values = np.load(actions, allow_pickle=False)  # (rows, 3)
        lengths = np.array([episode.frames for episode in content.episodes], dtype=np.int64)
        if values.shape != (lengths.sum(), len(ACTION_COLUMNS)) or values.dtype != np.float32:
            raise UserError(
                f"{actions}: found {values.dtype} {values.shape}, expected float32 "
                f"({lengths.sum()}, {len(ACTION_COLUMNS)}) for the episodes of {manifest}; "
                "remove both and run snakemake again"
            )
        return cls(
            name=content.dataset,
            digest=content.digest,
            episodes=content.episodes,
            lengths=lengths,
            offsets=np.cumsum(lengths) - lengths,
            actions=values,
            folder=manifest.parent,
            _indices={episode.name: index for index, episode in enumerate(content.episodes)},
        )

    def index(self, name: str) -> int:
        """Return an episode's index in ``episodes``; a UserError where there is no such episode."""
        try:
            return self._indices[name]
        except KeyError:
            raise UserError(
                f"dataset {self.name}: no episode {name!r} among its {len(self.episodes)}; "
                "the split or policy was made from another version of this dataset"
            ) from None

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def rows(self) -> int:
        """Number of frames of all episodes together."""
        return len(self.actions)

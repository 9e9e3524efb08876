"""Read a dataset: its episodes and actions, addressed by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.result import Episode, Manifest
from mobile_vla.errors import UserError


@dataclass(frozen=True)
class Part:
    """A dataset of a mixture; a dataset that is no mixture is the only part of itself."""

    name: str
    digest: str
    """Digest of its own manifest."""
    rows: int
    """Frames of its episodes: those of the first part come first."""
    folder: Path
    """Where its manifest lies; the frames are in ``episodes/`` below it."""


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
    """(rows, 3) float32 as recorded, columns :data:`ACTION_COLUMNS`."""
    parts: tuple[Part, ...]
    """The datasets of a mixture, or this one alone."""
    part: np.ndarray
    """(E,) int64, index in ``parts`` of each episode's."""
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
            parts=_parts(content, manifest.parent),
            part=np.repeat(
                np.arange(max(len(content.members), 1)),
                [one.episodes for one in content.members] or [len(lengths)],
            ),
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

    @property
    def is_mixture(self) -> bool:
        """Whether its episodes are those of several datasets."""
        return len(self.parts) > 1

    def part_of(self, index: int) -> Part:
        """Return the part that an episode belongs to."""
        return self.parts[self.part[index]]

    def episode_file(self, index: int, suffix: str) -> Path:
        """Return where ``ingest`` wrote an episode's facts (``.json``) or frames (``.npy``)."""
        name, part = self.episodes[index].name, self.part_of(index)
        own = name.removeprefix(member_prefix(part.name)) if self.is_mixture else name
        return part.folder / "episodes" / f"{own}{suffix}"

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def rows(self) -> int:
        """Number of frames of all episodes together."""
        return len(self.actions)


def member_prefix(dataset: str) -> str:
    """Return what the names of a dataset's episodes, and of their groups, begin with in a mixture.

    No episode's own name has a slash.
    """
    return f"{dataset}/"


def _parts(content: Manifest, folder: Path) -> tuple[Part, ...]:
    """Return the parts of a dataset whose manifest lies in a folder; members lie beside it."""
    if not content.members:
        return (Part(content.dataset, content.digest, content.rows, folder),)
    return tuple(
        Part(one.dataset, one.digest, one.rows, folder.parent / one.dataset)
        for one in content.members
    )

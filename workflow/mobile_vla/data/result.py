"""The forms of ``manifest.json``, ``flags.json`` and ``split.json``."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field

from mobile_vla.conventions import ScenarioKey
from mobile_vla.ingest.result import Defect, Scenario
from mobile_vla.result import FileDigest, Result
from mobile_vla.sentence import Sentence

Role = Literal["train", "val", "test"]
ROLES: tuple[Role, ...] = get_args(Role)


class Episode(Result):
    """An episode of a dataset."""

    episode: str
    """Name of the episode."""
    frames: int
    """T, its number of frames and of actions."""
    scenario: Scenario
    """What the raw file's name says."""
    group: str
    """Episodes of one group stay on one side of the split."""
    instruction: str | None
    """The raw file's ``language_instruction``."""
    raw_sha256: str
    """SHA-256 of the raw file."""
    frames_sha256: str
    """SHA-256 of the episode's ``.npy`` file."""
    actions_sha256: str
    """SHA-256 of its actions, T·3 values in float32."""

    @property
    def name(self) -> str:
        """Name of the episode."""
        return self.episode

    @property
    def content(self) -> tuple[str, str]:
        """Digests of its file, and of its frames and actions: one is enough to know it again.

        A file that was written once more has other bytes, and a dataset that resizes otherwise
        other frames.
        """
        return self.raw_sha256, f"{self.frames_sha256} {self.actions_sha256}"


class Quarantined(Result):
    """An episode that is left out."""

    episode: str
    """Name of the episode."""
    file: str
    """Path of the raw file."""
    errors: tuple[Defect, ...]
    """What makes it unusable; empty where it is left out for its warnings."""
    warnings: tuple[str, ...]
    """Codes of the warnings that it is left out for, with ``on_warning: quarantine``."""


class Member(Result):
    """A dataset of a mixture, as its manifest was when the mixture's was made."""

    dataset: str
    """Name of the dataset."""
    digest: str
    """Digest of its manifest."""
    episodes: int
    """Number of its episodes: those of the first dataset come first, then those of the next."""
    rows: int
    """Frames of its episodes together."""


class Manifest(Result):
    """``manifest.json``: the episodes of a dataset, and those that are left out.

    Of a mixture it holds the episodes of all its datasets, each named ``DATASET/EPISODE``.
    """

    dataset: str
    """Name of the dataset."""
    rows: int
    """Frames of all episodes together."""
    digest: str
    """SHA-256 over the entries of ``episodes``: what results are compared by."""
    episodes: tuple[Episode, ...]
    """The episodes that are used, in the order of their rows."""
    quarantined: tuple[Quarantined, ...]
    """The episodes that are not used, with the reasons."""
    members: tuple[Member, ...] = Field(default=(), exclude_if=lambda members: not members)
    """The datasets of a mixture, in the order of their rows; not there for other datasets."""
    actions_file: FileDigest
    """Identity of ``actions.npy``."""


class Flags(Result):
    """``flags.json``: the episodes that the audit has warnings about."""

    dataset: str
    """Name of the dataset."""
    episodes: dict[str, tuple[str, ...]]
    """Codes of the warnings that are not accepted, sorted, by episode."""


class SplitBasis(Result):
    """The dataset's ``split`` of config.yaml; the other entries depend on its kind."""

    model_config = ConfigDict(extra="allow")

    seed: int
    """Seed of the assignment."""
    stratify_by: tuple[ScenarioKey, ...]
    """Each combination of these is a cell."""


class UnusedEpisode(Result):
    """An episode without a role in a fold."""

    episode: str
    """Name of the episode."""
    reason: Sentence
    """Why it has no role."""


class CellCounts(Result):
    """A cell of the split, with the number of its episodes in each role."""

    cell: dict[ScenarioKey, str]
    """The cell's value of each key of ``stratify_by``."""
    train: int
    """Training episodes."""
    val: int
    """Validation episodes."""
    test: int
    """Test episodes."""


class Fold(Result):
    """A fold of the split; episodes stand in the manifest's order."""

    held_out: str | None
    """The value of the scenario that only test episodes have; None where none is held out."""
    roles: Annotated[dict[Role, tuple[str, ...]], Field(min_length=len(ROLES))]
    """Episodes by role."""
    unused: tuple[UnusedEpisode, ...]
    """Episodes without a role."""
    cells: tuple[CellCounts, ...]
    """Counts of episodes, in the order of the cells."""


class DatasetSplit(Result):
    """``split.json``: which episodes train, select the checkpoint, and are scored."""

    dataset: str
    """Name of the dataset."""
    settings: SplitBasis
    """How the episodes were split."""
    folds: tuple[Fold, ...]
    """The folds, numbered from 0."""

"""What the report reads of a dataset's files: split, manifest and audit."""

from __future__ import annotations

from typing import Any

from mobile_vla.reporting.records import Record


class Cell(Record):
    """A cell of the split, with the number of its episodes in each role."""

    cell: dict[str, str | None]
    train: int
    val: int
    test: int


class Unused(Record):
    """An episode without a role in a fold."""

    episode: str
    reason: str


class Fold(Record):
    """A fold of the split."""

    held_out: str | None
    roles: dict[str, list[str]]
    unused: list[Unused]
    cells: list[Cell]


class Split(Record):
    """``split.json``."""

    dataset: str
    settings: dict[str, Any]
    folds: list[Fold]


class Episode(Record):
    """An episode of the manifest."""

    episode: str
    frames: int
    scenario: dict[str, str | None]


class EpisodeFault(Record):
    """Why an episode was left out."""

    code: str
    place: str | None = None
    found: str | None = None
    expected: str | None = None
    remedy: str | None = None


class Quarantined(Record):
    """An episode that was left out."""

    episode: str
    file: str | None = None
    errors: list[EpisodeFault]
    warnings: tuple[str, ...] = ()
    """Codes that it was left out for, with `on_warning: quarantine`."""


class Manifest(Record):
    """``manifest.json``."""

    dataset: str
    rows: int
    digest: str
    episodes: list[Episode]
    quarantined: list[Quarantined]


class Finding(EpisodeFault):
    """A finding of the audit."""

    severity: str
    episode: str | None = None
    file: str | None = None
    accepted: str | None = None
    """Why the user accepts it."""


class Thumbnail(Record):
    """A small picture of a frame that findings are about."""

    code: str
    episode: str
    frame: int
    swapped: bool
    alt: str
    image: str
    """A data URI."""


class Covered(Record):
    """A combination of side, distance and style, with the number of its usable episodes."""

    cell: dict[str, str]
    episodes: int


class Audit(Record):
    """``audit.json``."""

    dataset: str
    episodes: int
    totals: dict[str, int]
    findings: list[Finding]
    coverage: list[Covered]
    thumbnails: list[Thumbnail]

"""The forms of what lies beside stored features: their description, and the kept rows' index."""

from __future__ import annotations

from mobile_vla.config.features import Cut, FeatureKey
from mobile_vla.result import FileDigest, Result


class FeatureDescription(Result):
    """``features/DATASET/BACKBONE/CUT-KEY.json``: what the features are, and depend on."""

    cut: Cut
    """Where the forward pass was cut."""
    key: FeatureKey
    """The settings that the features depend on."""
    precision: str
    """Number format of the forward pass."""
    dtype: str
    """Number format of the features; bfloat16 is stored as 16 bits."""
    shape: tuple[int, ...]
    """(rows, …): one row a frame."""
    sha256: str
    """SHA-256 of the features' file."""
    size: int
    """Bytes of the features' file."""
    manifest: str
    """Digest of the dataset's manifest."""
    backbone: str
    """Digest of the backbone's files."""

    @property
    def file(self) -> FileDigest:
        """Identity of the features' file."""
        return FileDigest(sha256=self.sha256, size=self.size)


class KeptEpisodes(Result):
    """``features/DATASET/BACKBONE/.CUT-KEY.rows.json``: whose rows lie beside it."""

    origin: str
    """Digest of all that every row depends on: code, versions, backbone, settings, hardware."""
    dtype: str
    """Number format of the features."""
    first: dict[str, int]
    """By the digest of an episode's frames and prompt the first of its rows."""
    sha256: str
    """SHA-256 of the rows' file."""
    size: int
    """Bytes of the rows' file."""

    @property
    def file(self) -> FileDigest:
        """Identity of the rows' file."""
        return FileDigest(sha256=self.sha256, size=self.size)

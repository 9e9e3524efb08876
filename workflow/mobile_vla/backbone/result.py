"""The form of ``backbone.json``: a checkpoint and the identity of its files."""

from __future__ import annotations

from mobile_vla.result import FileDigest, Result


class BackboneDescription(Result):
    """``backbone.json``: where a backbone's checkpoint lies, and the digests of its files."""

    name: str
    """The backbone's name in config.yaml."""
    checkpoint: str
    """A folder or a hub id, as config.yaml names it; ``.`` where it lies beside this file."""
    revision: str | None
    """The hub's commit; None for a folder."""
    files: dict[str, FileDigest]
    """Identity of each file of the checkpoint, by name."""

"""``backbone.json`` and the files that it describes, without heavy imports: the plan lists them."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.result import FileDigest, Result

# What `from_pretrained` of model and processor reads; not the older pickled weights beside them.
PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt")

MODEL_TYPE = "kosmos-2"
"""What the ``config.json`` of a checkpoint says, and the tag of a model card."""


class BackboneDescription(Result):
    """``backbone.json``: where a backbone's checkpoint lies, and the digests of its files."""

    name: str
    """The backbone's name in config.yaml."""
    checkpoint: str
    """A hub id; a folder as config.yaml named it then, and no result depends on that; ``.`` where
    the checkpoint lies beside this file."""
    revision: str | None
    """The hub's commit; None for a folder."""
    files: dict[str, FileDigest]
    """Identity of each file of the checkpoint, by name."""


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint folder, in the order of their names."""
    return sorted({file for pattern in PATTERNS for file in folder.glob(pattern)})


def checkpoint_digests(folder: Path) -> dict[str, FileDigest]:
    """Read all files of a checkpoint folder, and return their identities by name."""
    return {file.name: FileDigest.of(file) for file in checkpoint_files(folder)}

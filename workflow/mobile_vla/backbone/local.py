"""List the files of a checkpoint folder, without heavy imports: the plan does it too."""

from __future__ import annotations

from pathlib import Path

# What `from_pretrained` of model and processor reads; not the older pickled weights beside them.
PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt")


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint folder, in the order of their names."""
    return sorted({file for pattern in PATTERNS for file in folder.glob(pattern)})

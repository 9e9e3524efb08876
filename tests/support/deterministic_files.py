"""What of a finished project must be the same wherever it was computed."""

from __future__ import annotations

from mobile_vla.layout import holds_times
from support.project import Project

COMPUTED = ("datasets", "backbones", "features", "experiments")


def deterministic_files(project: Project) -> dict[str, bytes]:
    """Return the bytes of all results that hold no times."""
    found = {}
    for file in sorted((project.folder / "results").rglob("*")):
        name = file.relative_to(project.folder / "results")
        untracked = {"tensorboard", ".work"} & set(name.parts)
        if file.is_file() and name.parts[0] in COMPUTED and not holds_times(name) and not untracked:
            found[str(name)] = file.read_bytes()
    return found

"""Where a folder from outside the project lies, apart from what is in it.

Results depend on the bytes of recorded episodes and checkpoints and not on their place. The place
is in a small file, written by a job of its own, which readers follow and nothing is tracked by.
"""

from __future__ import annotations

from pathlib import Path

from mobile_vla.result import Result

LOCATION = "location.json"


class Location(Result):
    """``location.json``: where the folder lies, as config.yaml names it."""

    folder: str
    """The folder, absolute or relative to the project."""

    @property
    def path(self) -> Path:
        """The folder's path."""
        return Path(self.folder).expanduser()


def located(folder: Path, file: str) -> Path:
    """Return the path of an episode's raw file.

    Args:
        folder: the dataset's folder of results; recorded ones have a ``location.json``.
        file: the file as the episode's facts name it.
    """
    path = Path(file)
    if path.is_relative_to(folder) or not (folder / LOCATION).is_file():
        return path  # made here
    return Location.read(folder / LOCATION).path / path

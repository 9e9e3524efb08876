"""List the episodes of a folder by their file names, without heavy imports."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import UserError
from mobile_vla.layout import RESULTS

EPISODE = re.compile(r"\.(h5|hdf5?|he5)\b", re.IGNORECASE)
"""What the name of an HDF5 file holds, that of a copy or a packed one included."""
NAMED = 5  # files in a message

ESCAPED = {ord(one): f"%{ord(one):02X}" for one in "{}<>\n\r"}


def recorded_episodes(name: str, dataset: RecordedDataset, source: Source) -> dict[str, Path]:
    """Return a recorded dataset's files by episode.

    An episode is named like its file; in a subfolder, ``day1/a.h5`` is the episode ``day1--a``.
    Hidden files are none, as for a shell: macOS leaves a ``._a.h5`` beside each ``a.h5``.
    What Snakemake would fill in is written as in a URL: ``a{b}.h5`` is ``a%7Bb%7D``.

    Args:
        name: of the dataset.
        dataset: its settings.
        source: where they stand.

    Raises:
        UserError: the folder is not there, holds no such file, or two files give one name.
    """
    place = source.place(("datasets", name, "path"))
    folder = Path(dataset.path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"{place}: {dataset.path} is no folder; expected the folder that holds the episodes; "
            "correct the path"
        )
    files: dict[str, Path] = {}
    for path in sorted(folder.glob(dataset.pattern)):
        # A folder that is named like an episode is one that cannot be read.
        if path.is_dir() and EPISODE.search(path.name) is None:
            continue
        if _hidden(path.relative_to(folder), dataset.pattern):
            continue
        episode = "--".join(path.relative_to(folder).with_suffix("").parts).translate(ESCAPED)
        if episode in files:
            raise UserError(
                f"{place}: {files[episode].name} and {path.name} give the same episode "
                f"{episode!r}; rename one, or narrow `pattern`"
            )
        files[episode] = path
    if not files:
        others = left_out(dataset, ())
        there = f"; there are {named(others)}" if others else ""
        raise UserError(
            f"{place}: no file in {dataset.path} matches the pattern {dataset.pattern!r}{there}; "
            "correct `path` or `pattern`"
        )
    return files


def _hidden(inside: Path, pattern: str) -> bool:
    """Whether a file is hidden, or in a hidden folder, and the pattern does not ask for such."""
    if inside.name.startswith("._"):
        return True
    asked, is_so = (
        any(part.startswith(".") and part != ".." for part in path.parts)
        for path in (Path(pattern), inside)
    )
    return is_so and not asked


def left_out(dataset: RecordedDataset, used: Collection[Path]) -> list[str]:
    """Return the files below a dataset's folder that look like episodes and are none, sorted.

    Args:
        dataset: the settings.
        used: the episodes' files, as :func:`recorded_episodes` returns them.
    """
    top = Path(dataset.path).expanduser()
    taken = {os.fspath(path) for path in used}
    found: list[str] = []
    for name, folders, files in os.walk(top):
        folder = Path(name)
        folders[:] = [
            inner
            for inner in folders
            if not inner.startswith(".") and (folder / inner).resolve() != RESULTS.resolve()
        ]
        found += [
            str((folder / file).relative_to(top))
            for file in files
            if EPISODE.search(file)
            and not file.startswith(".")
            and os.fspath(folder / file) not in taken
        ]
    return sorted(found)


def named(files: list[str]) -> str:
    """Return the first of some files as text, and how many more there are."""
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return ", ".join(files[:NAMED]) + more

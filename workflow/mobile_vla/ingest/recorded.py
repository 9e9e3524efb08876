"""List the episodes of a folder by their file names, without heavy imports."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.errors import UserError

ESCAPED = {ord(one): f"%{ord(one):02X}" for one in "{}<>\n\r"}


def recorded_episodes(name: str, dataset: RecordedDataset) -> dict[str, Path]:
    """Return a recorded dataset's files by episode.

    An episode is named like its file; in a subfolder, ``day1/a.h5`` is the episode ``day1--a``.
    What Snakemake would fill in is written as in a URL: ``a{b}.h5`` is ``a%7Bb%7D``.

    Raises:
        UserError: the folder is not there, holds no such file, or two files give one name.
    """
    place = f"config.yaml (datasets.{name}.path)"
    folder = Path(dataset.path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"{place}: {dataset.path} is no folder; expected the folder that holds the episodes; "
            "correct the path"
        )
    files: dict[str, Path] = {}
    for path in sorted(folder.glob(dataset.pattern)):
        if path.is_dir():
            continue
        episode = "--".join(path.relative_to(folder).with_suffix("").parts).translate(ESCAPED)
        if episode in files:
            raise UserError(
                f"{place}: {files[episode].name} and {path.name} give the same episode "
                f"{episode!r}; rename one, or narrow `pattern`"
            )
        files[episode] = path
    if not files:
        raise UserError(
            f"{place}: no file in {dataset.path} matches the pattern {dataset.pattern!r}; "
            "correct `path` or `pattern`"
        )
    return files

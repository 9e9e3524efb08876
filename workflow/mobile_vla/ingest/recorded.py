"""List the episodes of a folder by their file names, without heavy imports."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.errors import UserError


def recorded_episodes(name: str, dataset: RecordedDataset) -> dict[str, Path]:
    """Return a recorded dataset's files by episode.

    An episode is named like its file; in a subfolder, ``day1/a.h5`` is the episode ``day1--a``.

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
    if not dataset.pattern or Path(dataset.pattern).is_absolute():
        raise UserError(
            f"config.yaml (datasets.{name}.pattern): found {dataset.pattern!r}, expected a pattern "
            "below `path`, such as '*.h5' or '**/*.h5'"
        )
    files: dict[str, Path] = {}
    for path in sorted(folder.glob(dataset.pattern)):
        if set("{}") & set(str(path.relative_to(folder))):
            raise UserError(
                f"{path}: found a brace in the name, which the workflow would take for a "
                "placeholder; rename the file"
            )
        episode = "--".join(path.relative_to(folder).with_suffix("").parts)
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

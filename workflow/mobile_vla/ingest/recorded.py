"""List the episodes of a folder: files, or groups in files. Without heavy imports where it can."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.fields import Fields
from mobile_vla.config.ingest import IngestSettings
from mobile_vla.config.mistakes import Source
from mobile_vla.conventions import ScenarioKey
from mobile_vla.errors import UserError, first_of
from mobile_vla.filesets import RESULTS
from mobile_vla.ingest.scenarios import read_scenarios
from mobile_vla.provenance.content import content_ids, kept_ids

EPISODE = re.compile(r"\.(h5|hdf5?|he5)\b", re.IGNORECASE)
"""What the name of an HDF5 file holds, that of a copy or a packed one included."""
ESCAPED = {ord(one): f"%{ord(one):02X}" for one in "{}<>\n\r"}
LONGEST = 200  # bytes of an episode's name, which becomes that of files


@dataclass(frozen=True)
class RecordedEpisode:
    """An episode of a recorded dataset."""

    settings: IngestSettings
    file: Path
    content: str
    """Identity of the file's bytes or, where it holds several episodes, of the episode's."""


def recorded_episodes(
    name: str, dataset: RecordedDataset, files: Mapping[str, Path], source: Source, cache: Path
) -> dict[str, RecordedEpisode]:
    """Return a recorded dataset's episodes by name.

    Args:
        name: of the dataset.
        dataset: its settings.
        files: its files, as :func:`recorded_files` returns them.
        source: where they stand.
        cache: file that digests are kept in between plans.

    Raises:
        UserError: two episodes have one name, the table of scenarios cannot be used, or the machine
            could not read a file of several episodes.
    """
    found: dict[str, tuple[Path, str, str]] = {}
    if dataset.fields is None or dataset.fields.episodes is None:
        ids = content_ids(list(files.values()), cache)
        found = {episode: (path, "", ids[path]) for episode, path in files.items()}
    else:
        place = source.place(("datasets", name, "fields", "episodes"))
        for named_like, path in files.items():
            groups = _groups(path, dataset.fields, cache)
            for group, content in groups.items():
                episode = _name(named_like, dataset.fields.episodes, group, path, place)
                if episode in found:
                    other, same = found[episode][:2]
                    raise UserError(
                        f"{place}: {other}/{same} and {path}/{group} give the same episode "
                        f"{episode!r}; narrow `episodes`, or rename one"
                    )
                found[episode] = (path, group, content)
    scenarios: Mapping[str, dict[ScenarioKey, str] | None] = dict.fromkeys(found)
    if dataset.scenarios is not None:
        place = source.place(("datasets", name, "scenarios"))
        scenarios = read_scenarios(Path(dataset.scenarios).expanduser(), found, place)
    return {
        episode: RecordedEpisode(
            dataset.ingest(name, episode).model_copy(
                update={"inside": group, "scenario": scenarios[episode]}
            ),
            path,
            content,
        )
        for episode, (path, group, content) in found.items()
    }


def _groups(path: Path, fields: Fields, cache: Path) -> dict[str, str]:
    """Return the groups of a file that are an episode each, with the identity of each.

    A file that cannot be read, or has no such group, counts as one episode: reading it says why.
    """
    groups = kept_ids(path, fields.canonical(), lambda: _looked_up(path, fields), cache)
    return groups or {"": content_ids([path], cache)[path]}


def _looked_up(path: Path, fields: Fields) -> dict[str, str] | None:
    """Return the same, from the file; None or nothing where it cannot be read.

    Raises:
        UserError: the machine could not read it.
    """
    # Most projects have no such file, and do without h5py in their plans.
    from mobile_vla.ingest.groups import groups_of
    from mobile_vla.ingest.machine import named
    from mobile_vla.ingest.rawfile import Rejected

    try:
        with named(path):
            return groups_of(path, fields)
    except Rejected as rejected:
        # What took HDF5 minutes is kept; what may be mended without a change of the file is not.
        unreadable = any(defect.code == "unreadable" for defect in rejected.defects)
        return {} if unreadable else None


def _name(named_like: str, pattern: str, group: str, path: Path, place: str) -> str:
    """Return an episode's name: that of its file, and of its group's parts that differ."""
    from mobile_vla.ingest.groups import wild_parts

    if not group:
        return named_like
    episode = "--".join([named_like, *wild_parts(pattern, group)]).translate(ESCAPED)
    if not _can_name_files(episode):
        raise UserError(
            f"{place}: {path} has a group named {group[:LONGEST]!r}, expected printable names of "
            f"at most {LONGEST} bytes together with the file's, which become those of files; "
            "rename it, or narrow `episodes`"
        )
    return episode


def _can_name_files(episode: str) -> bool:
    try:
        return len(episode.encode()) <= LONGEST and episode.isprintable()
    except UnicodeEncodeError:  # a name that is not in UTF-8
        return False


def recorded_files(name: str, dataset: RecordedDataset, source: Source) -> dict[str, Path]:
    """Return a recorded dataset's files by name.

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
        if not _can_name_files(episode):
            raise UserError(
                f"{place}: found a file named {str(path.relative_to(folder))!r}, expected "
                f"printable names of at most {LONGEST} bytes together with the subfolder's, which "
                "become those of files; rename it, or narrow `pattern`"
            )
        if episode in files:
            raise UserError(
                f"{place}: {files[episode].name} and {path.name} give the same episode "
                f"{episode!r}; rename one, or narrow `pattern`"
            )
        files[episode] = path
    if not files:
        others = left_out(dataset, ())
        there = f"; there are {first_of(others)}" if others else ""
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
        used: the episodes' files, as :func:`recorded_files` returns them.
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

"""Read the arrays of a few episodes that may hold commands: how large they are, and which vary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.machine import bounded_memory
from mobile_vla.ingest.rawfile import HDF5_ERRORS, Rejected, find, open_raw

MOST_EPISODES = 20
MOST_ROWS = 100_000  # of an array


def read_commands(
    path: Path, places: Sequence[str], groups: Sequence[str], announce: Announce
) -> tuple[dict[str, np.ndarray], int]:
    """Return what arrays hold in the first episodes, and how many these are.

    Args:
        path: the file that is described; where it is one episode, others of the folder are read.
        places: paths of the arrays, from the episode's group on.
        groups: the episodes of the file, or one that is empty.
        announce: called with each place before it is read.

    Returns:
        By path (rows, A), the rows of all episodes after one another; one that cannot be read is
        left out.
    """
    read: dict[str, list[np.ndarray]] = {place: [] for place in places}
    count = 0
    for file, group in _episodes(path, groups, announce):
        found = {place: _rows(file, f"{group}/{place}".lstrip("/"), announce) for place in read}
        count += any(rows is not None for rows in found.values())
        for place, rows in found.items():
            if rows is not None and (not read[place] or rows.shape[1] == read[place][0].shape[1]):
                read[place].append(rows)
    return {place: np.concatenate(rows) for place, rows in read.items() if rows}, count


def _episodes(
    path: Path, groups: Sequence[str], announce: Announce
) -> Iterator[tuple[h5py.File, str]]:
    """Yield opened files with a group of each: the one that is described comes first."""
    others = sorted(path.parent.glob(f"[!.]*{path.suffix}")) if list(groups) == [""] else []
    for one in [path, *(other for other in others if other != path)][:MOST_EPISODES]:
        announce(str(one))
        try:
            with open_raw(one) as file:
                for group in groups[:MOST_EPISODES]:
                    yield file, group
        except Rejected:
            continue


def _rows(file: h5py.File, path: str, announce: Announce) -> np.ndarray | None:
    """Return an array's values (rows, A); None where they cannot be read."""
    announce(path)
    try:
        dataset = find(file, path)
        if dataset is None or not dataset.shape or dataset.dtype.kind != "f":
            return None
        with bounded_memory(file.id.get_filesize()):
            check_storage(dataset, path)
            values: np.ndarray = dataset[:MOST_ROWS]
        return values.reshape(len(values), -1)
    except (Rejected, *HDF5_ERRORS):
        return None

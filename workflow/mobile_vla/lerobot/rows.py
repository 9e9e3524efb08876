"""Read the rows of one episode from a Parquet file of a LeRobotDataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import UserError
from mobile_vla.lerobot.result import ACTION


def read_rows(data: Path, index: int, frames: int, column: str) -> pa.Table:
    """Return an episode's actions and another column, in the order of its frames.

    Args:
        data: the Parquet file.
        index: the episode's number.
        frames: how many it has.
        column: the other column.

    Raises:
        UserError: the file cannot be read, or does not hold each frame once.
    """
    columns = [ACTION, "frame_index", column]
    filters = [("episode_index", "==", index)]
    place = f"{data}, episode {index}"
    try:
        missing = {*columns, "episode_index"} - set(pq.read_schema(data).names)
        if missing:
            raise KeyError(f"no column {', '.join(sorted(missing))}")
        rows = pq.read_table(data, columns=columns, filters=filters, partitioning=None)
        rows = rows.sort_by("frame_index")
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(
            f"{place}: cannot be read ({' '.join(str(error).split())}); copy the dataset again"
        ) from None
    there = rows.column("frame_index").to_pylist()
    if there != list(range(frames)):
        raise UserError(
            f"{place}: found {len(there)} rows, expected frames 0 to {frames - 1}, each once; copy "
            "the dataset again"
        )
    return rows


def actions_of(rows: pa.Table, columns: Sequence[int | None], every: int) -> np.ndarray:
    """Return the actions of every so many rows, (T, 3) float32 in raw command units.

    Args:
        rows: as :func:`read_rows` returns them.
        columns: places of the velocities in the feature ``action``; None: always 0.
        every: rows 0, ``every``, 2 · ``every`` and so on are taken.
    """
    stored = np.array(rows.column(ACTION).to_pylist(), dtype=np.float32)  # (T, A)
    actions = np.zeros((len(stored), len(ACTION_COLUMNS)), dtype=np.float32)
    for column, source in enumerate(columns):
        if source is not None:
            actions[:, column] = stored[:, source]
    return actions[::every]

"""Read the rows of one episode from a Parquet file of a LeRobotDataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import UserError
from mobile_vla.lerobot.result import ACTION, INFO


def read_rows(data: Path, index: int, frames: int, column: str) -> pa.Table:
    """Return an episode's actions and another column, in the order of its frames.

    Args:
        data: the Parquet file.
        index: the episode's number.
        frames: how many it has.
        column: the other column.

    Raises:
        UserError: the file cannot be read, does not hold each frame once, or its actions are no
            vectors of one length.
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
    kind = rows.schema.field(ACTION).type
    of = kind.value_type if _is_list(kind) else kind
    if not (pa.types.is_floating(of) or pa.types.is_integer(of)):
        raise UserError(
            f"{place}, {ACTION}: found values of type {kind}, expected vectors of numbers"
        )
    lengths = {None if one is None else np.size(one) for one in rows.column(ACTION).to_pylist()}
    if len(lengths) > 1 or None in lengths:
        found = " and ".join(sorted("none" if one is None else f"{one:,}" for one in lengths))
        raise UserError(
            f"{place}, {ACTION}: found {found} numbers in a row, expected as many in each; copy "
            "the dataset again"
        )
    return rows


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def numbers_of(rows: pa.Table, column: str) -> list[float]:
    """Return a column of numbers; NaN where there is none."""
    values = rows.column(column).to_pylist()
    return [float(one) if isinstance(one, (int, float)) else math.nan for one in values]


def actions_of(rows: pa.Table, columns: Sequence[int | None], every: int) -> np.ndarray:
    """Return the actions of every so many rows, (T, 3) float32 in raw command units.

    Args:
        rows: as :func:`read_rows` returns them.
        columns: places of the velocities in the feature ``action``; None: always 0.
        every: rows 0, ``every``, 2 · ``every`` and so on are taken.

    Raises:
        UserError: the feature has fewer numbers than ``columns`` say.
    """
    # A feature of one number may be stored without a list; a missing number becomes NaN.
    stored = np.array(rows.column(ACTION).to_pylist(), dtype=np.float32).reshape(len(rows), -1)
    last = max((source for source in columns if source is not None), default=-1)
    if last >= stored.shape[1]:
        raise UserError(
            f"{INFO}: {ACTION} has {stored.shape[1]} numbers in the Parquet files, and number "
            f"{last} (from 0) is wanted; copy the dataset again, or correct `columns`"
        )
    actions = np.zeros((len(stored), len(ACTION_COLUMNS)), dtype=np.float32)
    for column, source in enumerate(columns):
        if source is not None:
            actions[:, column] = stored[:, source]
    return actions[::every]

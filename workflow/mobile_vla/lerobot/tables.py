"""Make the tables of a LeRobotDataset v3, with the columns and types of LeRobot's writer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An image of the library `datasets`: the bytes of a file, here PNG, and its name."""

INDICES = {
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""The columns that number the rows."""


def data_schema(camera: str, action: str, dimensions: int) -> pa.Schema:
    """Return the columns of a data file, a row for each frame.

    Its metadata say to the library `datasets` which column holds images.
    """
    value = {"dtype": "float32", "_type": "Value"}
    features: dict[str, Any] = {
        camera: {"_type": "Image"},
        action: {"feature": value, "length": dimensions, "_type": "Sequence"},
        "timestamp": value,
        **{name: {"dtype": kind, "_type": "Value"} for name, kind in INDICES.items()},
    }
    fields = [
        pa.field(camera, IMAGE),
        pa.field(action, pa.list_(pa.float32(), dimensions)),
        pa.field("timestamp", pa.float32()),
        *(pa.field(name, pa.int64()) for name in INDICES),
    ]
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def described_features(
    camera: str, shape: Sequence[int], action: str, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the features of ``info.json``: the columns and their shapes."""
    return {
        camera: {"dtype": "image", "shape": list(shape), "names": ["height", "width", "channels"]},
        action: {"dtype": "float32", "shape": [len(names)], "names": list(names)},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **{name: {"dtype": kind, "shape": [1], "names": None} for name, kind in INDICES.items()},
    }


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """Return the table of instructions: a pandas frame with the text as index."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": list(tasks)})
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [
            {"name": None, "field_name": None, **text, "metadata": {"encoding": "UTF-8"}}
        ],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number},
            {"name": "task", "field_name": "task", **text},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def episodes_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the index of episodes: places, lengths, instructions, and statistics of each."""
    return pa.table({name: [row[name] for row in rows] for name in rows[0]})

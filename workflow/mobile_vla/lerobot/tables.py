"""Make the tables of a LeRobotDataset v3 and their statistics, with the types of LeRobot's writer.

LeRobot's own writer takes the statistics from a sample of the pixels and a histogram of the values;
here they are exact, with quantiles interpolated linearly between order statistics.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.lerobot.result import ACTION, STATE

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An image of the library `datasets`: the bytes of a file, here PNG, and its name."""

INDICES = ("frame_index", "episode_index", "index", "task_index")
"""The columns that number the rows, int64."""

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
LEVELS = 256


def data_schema(camera: str, state: int = 0) -> pa.Schema:
    """Return the columns of a data file, a row for each frame.

    Its metadata say to the library `datasets` which column holds images.

    Args:
        camera: feature that holds the images.
        state: length of the robot's state, 0 where there is none.
    """
    dimensions = len(ACTION_COLUMNS)
    vectors = {ACTION: dimensions, **({STATE: state} if state else {})}
    value = {"dtype": "float32", "_type": "Value"}
    features: dict[str, Any] = {
        camera: {"_type": "Image"},
        **{
            name: {"feature": value, "length": length, "_type": "Sequence"}
            for name, length in vectors.items()
        },
        "timestamp": value,
        **{name: {"dtype": "int64", "_type": "Value"} for name in INDICES},
    }
    fields = [
        pa.field(camera, IMAGE),
        *(pa.field(name, pa.list_(pa.float32(), length)) for name, length in vectors.items()),
        pa.field("timestamp", pa.float32()),
        *(pa.field(name, pa.int64()) for name in INDICES),
    ]
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def described_features(
    camera: str, shape: Sequence[int], state: int = 0
) -> dict[str, dict[str, Any]]:
    """Return the features of ``info.json``: the columns and their shapes."""
    names = list(ACTION_COLUMNS)
    states = {STATE: {"dtype": "float32", "shape": [state], "names": None}} if state else {}
    return {
        camera: {"dtype": "image", "shape": list(shape), "names": ["height", "width", "channels"]},
        ACTION: {"dtype": "float32", "shape": [len(names)], "names": names},
        **states,
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **{name: {"dtype": "int64", "shape": [1], "names": None} for name in INDICES},
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


def of_values(values: np.ndarray) -> dict[str, list[Any]]:
    """Return the statistics of numbers (T,) or (T, D) as lists of D; ``count`` is [T]."""
    rows = values.astype(np.float64).reshape(len(values), -1)  # (T, D)
    computed = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([len(rows)]),
        **{name: np.quantile(rows, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {name: value.tolist() for name, value in computed.items()}


def histogram(image: np.ndarray) -> np.ndarray:
    """Return how often each level occurs in an image (H, W, 3) uint8: (3, 256)."""
    return np.stack([np.bincount(image[..., c].ravel(), minlength=LEVELS) for c in range(3)])


def of_images(counts: np.ndarray, images: int) -> dict[str, Any]:
    """Return the statistics of images, in [0, 1] and by channel, as nested lists (3, 1, 1).

    ``counts`` (3, 256) are how often each level occurs in them.
    """
    levels = np.arange(LEVELS)
    total = counts.sum(axis=1)  # (3,)
    mean = counts @ levels / total
    variance = counts @ levels**2 / total - mean**2
    computed = {
        "min": np.array([np.flatnonzero(channel)[0] for channel in counts]),
        "max": np.array([np.flatnonzero(channel)[-1] for channel in counts]),
        "mean": mean,
        "std": np.sqrt(np.maximum(variance, 0)),
        **{name: _quantile(counts, share) for name, share in QUANTILES.items()},
    }
    scaled = {name: (value / 255).reshape(3, 1, 1).tolist() for name, value in computed.items()}
    return {**scaled, "count": [images]}


def _quantile(counts: np.ndarray, share: float) -> np.ndarray:
    ends = counts.cumsum(axis=1)  # (3, 256)
    place = (ends[:, -1] - 1) * share
    below, above = (
        np.array(
            [np.searchsorted(end, at, side="right") for end, at in zip(ends, edge, strict=True)]
        )
        for edge in (np.floor(place), np.ceil(place))
    )
    return below + (above - below) * (place - np.floor(place))

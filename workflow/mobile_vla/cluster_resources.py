"""What a job asks a cluster for: memory and run time, from what is known of it beforehand.

Too little costs another attempt, and each attempt asks for twice as much; too much costs waiting in
the queue. None of it changes a result.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

MEMORY_HEADROOM = 1.3  # of the timing stage's estimate, which is within 8 % where it was compared
TIME_HEADROOM = 2.0  # of its projection, which another machine may have made
AROUND = 500  # MB: the two Snakemakes that a cluster's job runs in
PROCESS = 2000  # MB: Python with PyTorch, and what of data and activations is not the weights'
PER_WEIGHT = 4  # bytes for a byte of weights on disk: float32 from bf16, and as much for the rest
STARTING = 10  # minutes: imports, loading a checkpoint over a network
UNKNOWN = 240  # minutes of a training that nobody has timed


def training_mb(timing: Path, backbone: Path, processes: int, attempt: int) -> int:
    """Return the memory that a training asks for, in MB on each node.

    Args:
        timing: the experiment's ``timing.json``; it need not be there.
        backbone: the ``backbone.json``; it need not be there.
        processes: of the training, on a node.
        attempt: 1, then 2, …: each asks for twice as much as the one before.
    """
    timed = _read(timing)
    # On a GPU the estimate is of the GPU's own memory, and a job asks for the host's.
    if timed.get("device") != "cpu" or "memory" not in timed:
        return processes * model_mb(backbone, attempt)
    estimate = processes * timed["memory"]["estimate"]["total"] / 1e6
    return math.ceil(MEMORY_HEADROOM * estimate + AROUND) * 2 ** (attempt - 1)


def model_mb(backbone: Path, attempt: int) -> int:
    """Return the memory that a job asks for that runs the model, in MB, by its weights' size."""
    files = _read(backbone).get("files", {})
    weights = sum(file["size"] for file in files.values()) / 1e6
    return math.ceil(PROCESS + PER_WEIGHT * weights + AROUND) * 2 ** (attempt - 1)


def training_minutes(timing: Path, attempt: int) -> int:
    """Return the run time that a training asks for, in minutes.

    One that is stopped at the limit goes on from its last state in the next attempt.
    """
    projected = _read(timing).get("projected_seconds")
    expected = UNKNOWN if projected is None else math.ceil(TIME_HEADROOM * projected / 60)
    return (STARTING + expected) * 2 ** (attempt - 1)


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file says; nothing where it is not there, or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

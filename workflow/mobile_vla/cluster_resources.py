"""Cluster resources: the memory and run time of a job, from what is known of it beforehand.

Too little costs another attempt, and each attempt asks for twice as much; too much costs waiting in
the queue. None of it changes a result.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from mobile_vla.errors import UserError
from mobile_vla.timing.result import TimingResult

MEMORY_HEADROOM = 1.3  # of the timing stage's estimate, which is within 8 % where it was compared
TIME_HEADROOM = 2.0  # of its projection, which another machine may have made
SNAKEMAKE = 500  # MB: the two Snakemakes that a cluster's job runs in
PROCESS = 2000  # MB: Python with PyTorch, and what of data and activations is not the weights'
PER_WEIGHT = 4  # bytes for a byte of weights on disk: float32 from bf16, and as much for the rest
STARTING = 10  # minutes: imports, loading a checkpoint over a network
UNKNOWN = 240  # minutes of a training without a timing


def training_mb(timing: Path, backbone: Path, processes: int, attempt: int) -> int:
    """Return the memory that a training requests, in MB on each node.

    Neither ``timing.json`` nor ``backbone.json`` need be there. ``processes`` are those on a node.
    Each attempt, from 1 on, requests twice as much as the one before.
    """
    result = _read_timing(timing)
    # On a GPU the estimate is of the GPU's memory, and a job asks for the host's.
    if result is None or result.device != "cpu":
        return processes * model_mb(backbone, attempt)
    estimate = processes * result.memory.estimate.total / 1e6
    return math.ceil(MEMORY_HEADROOM * estimate + SNAKEMAKE) * 2 ** (attempt - 1)


def model_mb(backbone: Path, attempt: int) -> int:
    """Return the memory that a job requests which runs the model, in MB, by its weights' size."""
    files = _read(backbone).get("files", {})
    weights = sum(file["size"] for file in files.values()) / 1e6
    return math.ceil(PROCESS + PER_WEIGHT * weights + SNAKEMAKE) * 2 ** (attempt - 1)


def training_minutes(timing: Path, attempt: int) -> int:
    """Return the run time that a training requests, in minutes.

    One that is stopped at the limit goes on from its last state in the next attempt.
    """
    result, expected = _read_timing(timing), UNKNOWN
    if result is not None:
        expected = math.ceil(TIME_HEADROOM * result.projected_seconds / 60)
    return (STARTING + expected) * 2 ** (attempt - 1)


def _read_timing(path: Path) -> TimingResult | None:
    """Read a ``timing.json``; None where it is not there, or damaged."""
    try:
        return TimingResult.read(path)
    except UserError:
        return None


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON file; nothing where it is not there, or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

"""Measure a bundle on the machine that it runs on; it is a part of each bundle."""

from __future__ import annotations

import platform
import resource
import time
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import onnxruntime
import PIL

from mobile_vla.bundle.runtime import Bundle, BundleStream

WARM_UP = 10  # steps before steps are measured


def check_robot(bundle: Bundle, frames: Sequence[np.ndarray], steps: int) -> dict[str, Any]:
    """Return what this machine makes of a bundle that was just loaded: a ``RobotCheck``'s values.

    Args:
        bundle: the policy.
        frames: (224, 224, 3) uint8, seen in turn.
        steps: that are measured.
    """
    started, stream, seconds = time.process_time(), BundleStream(bundle, 0), []
    for number in range(WARM_UP + steps):
        begun = time.perf_counter()
        stream.step(frames[number % len(frames)])
        seconds.append(time.perf_counter() - begun)
    return {
        "start_seconds": started,
        "steps": steps,
        "seconds": quantiles(np.array(seconds[WARM_UP:])),
        "memory_bytes": peak_memory(),
        "providers": bundle.encoder.get_providers(),
        "versions": {
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        "processor": processor(),
        "machine": platform.machine(),
    }


def quantiles(seconds: np.ndarray) -> dict[str, float]:
    """Return the quantiles of measured steps by their names."""
    named = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "min": 0.0, "max": 1.0}
    return {name: float(np.quantile(seconds, at)) for name, at in named.items()}


def peak_memory() -> int:
    """Return the most bytes that this process has held."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def processor() -> str:
    """Return the name of the board or the processor, as far as the system says."""
    board, cpuinfo = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
    if board.is_file():
        return board.read_text(errors="replace").strip("\0 \n")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

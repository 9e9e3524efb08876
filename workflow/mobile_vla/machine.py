"""The machine that a job computes on: its cores, its device, its memory and how busy it is."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import resource
from pathlib import Path

import torch

from mobile_vla.errors import UserError
from mobile_vla.ranks import local_processes

log = logging.getLogger(__name__)

# Parameters of mallopt, as in glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def use_threads(wanted: int, given: int, setting: str) -> None:
    """Compute with an experiment's number of threads, or refuse; freed memory is kept.

    Results depend on that number in their last bits, so fewer threads would give other results.
    The log says what the job computes on.

    Args:
        wanted: threads that config.yaml asks for.
        given: cores that the job was given, for all of its processes on this machine.
        setting: where in config.yaml the number stands.

    Raises:
        UserError: there are fewer cores than threads.
    """
    needed = wanted * local_processes()
    if given < needed:
        of_each = f"{local_processes()} × " if local_processes() > 1 else ""
        raise UserError(
            f"config.yaml ({setting}): computes with {of_each}{wanted} threads, and the job was "
            f"given {given} core{'s' if given != 1 else ''}; run snakemake with --cores {needed} "
            f"or more, or lower {setting} (which changes results in their last bits)"
        )
    torch.set_num_threads(wanted)
    keep_freed_memory()
    device = default_device()
    threads = f"{wanted} thread{'s' if wanted != 1 else ''}"
    log.info("computes on %s (%s) with %s", device.type, device_name(device), threads)


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, so that the next step finds it.

    glibc gives large blocks and the end of its heap back to the system, which clears their pages
    before it hands them out again. Other C libraries have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)  # all blocks in the heap
        mallopt(M_TRIM_THRESHOLD, -1)  # whose end is never given back


def contended(load: float, expected: float, slowest: float) -> bool:
    """Return whether other programs may have disturbed a measurement.

    Args:
        load: the system's load average, which counts the measuring process too.
        expected: seconds that a step takes undisturbed.
        slowest: seconds of a slow step.
    """
    macos = not hasattr(os, "sched_getaffinity")
    cores = os.cpu_count() or 1 if macos else len(os.sched_getaffinity(0))
    return load > cores + 0.5 or slowest > 3 * expected


def default_device() -> torch.device:
    """Return the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return the name of the hardware, as far as the system says."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that the process has held so far, in all its life.

    On a GPU those of its tensors; on a CPU those of the whole process, Python and files that are
    mapped into memory included.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux ru_maxrss may be that of the process that started this one
        lines = status.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else 1024 * peak  # macOS counts bytes

"""One GPU to a process: found without PyTorch, locked, and the only one that CUDA then sees.

The lock is a file, so it keeps apart two Snakemakes or users, too; it goes when the process ends. A
cluster's scheduler hands out GPUs itself: within its jobs nothing is locked.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla.locks import lock
from mobile_vla.ranks import local_processes, local_rank

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
EVERY = 0.5  # seconds between looks for a free one

_held: list[int] = []  # the lock's file, open as long as the process lives


def visible(devices: Path = Path("/dev")) -> list[str]:
    """Return the GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes.

    Without it they are counted by the driver's files ``nvidia0``, ``nvidia1``, … in ``devices``.
    """
    named = os.environ.get(VISIBLE)
    if named is None:
        files = [file for file in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", file.name)]
        return [str(index) for index in range(len(files))]
    found: list[str] = []
    for name in (part.strip() for part in named.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", name):
            break  # as CUDA reads it: what follows -1 or a mistake is not visible
        found.append(name)
    return found


def take() -> str | None:
    """Take a free GPU and hide all others; wait while all are in use. To be called before torch.

    Returns:
        Its name; None where there is no GPU.

    Raises:
        UserError: the run has more processes here than there are GPUs.
    """
    names = visible()
    if not names:
        return None
    if len(names) < local_processes():
        raise UserError(
            f"training.processes: {local_processes()} processes on this machine, and {len(names)} "
            f"GPU{'s' if len(names) != 1 else ''} ({', '.join(names)}); lower it, spread them over "
            f"nodes, or compute without GPUs ({VISIBLE}= snakemake …)"
        )
    # A scheduler gave its job these GPUs; each of the job's processes has another.
    name = names[local_rank()] if "SLURM_JOB_ID" in os.environ else _locked(names)
    os.environ[VISIBLE] = name
    return name


def hide() -> None:
    """Hide all GPUs from this process. To be called before torch."""
    os.environ[VISIBLE] = ""


def _locked(names: list[str]) -> str:
    said = False
    while True:
        for name in names:
            file = _open(Path(tempfile.gettempdir()) / f"mobile-vla-gpu-{name}.lock")
            if lock(file) is not False:
                _held.append(file)
                return name
            os.close(file)
        if not said:
            log.warning("in use: GPU %s; waiting for a free one", ", ".join(names))
            said = True
        time.sleep(EVERY)


def _open(path: Path) -> int:
    """Open a lock's file, which may be another user's: to lock it, reading is enough."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:  # another process was faster
            return os.open(path, os.O_RDONLY)
        os.fchmod(file, 0o644)
        return file

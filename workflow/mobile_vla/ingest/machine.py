"""Tell what the machine could not do from what the bytes of a file show.

Only the second is a fact about an episode. The first ends the job, which is tried again.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from mobile_vla.errors import UserError
from mobile_vla.files import DISK_FULL

MEMORY = 256 << 20
"""Bytes that reading all of an episode but its images may take; an ordinary one takes 10 MB."""

FROM_BYTES = frozenset({errno.EINVAL, errno.EFAULT, errno.EOVERFLOW, errno.EFBIG, errno.ESPIPE})
"""What a system call answers to an address that a damaged file made up."""

REMEDIES = {
    errno.ENOMEM: "free memory, or give the job more",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs that hold many files open",
    errno.ESTALE: "mount the network drive again",
    errno.ENOTCONN: "mount the network drive again",
}
CHECK_DRIVE = (
    "check the disk or network drive that the file lies on (dmesg); if it stays so, copy the file "
    "again or take it out of the folder"
)


class MachineError(UserError):
    """The machine could not read a file, which says nothing of the file."""


def machine_error(place: str, found: str, remedy: str) -> MachineError:
    """Return the error of a job that is to be tried again.

    Args:
        place: what was being read.
        found: what happened, as a sentence's beginning.
        remedy: what to do before the next call.
    """
    return MachineError(
        f"{place}: {found}, which is no fact about the file, so nothing was recorded of it; "
        f"{remedy}; then run snakemake again, which reads the file anew"
    )


def blame(error: BaseException, place: str) -> None:
    """Return if an error while reading ``place`` comes from the bytes of the file.

    Raises:
        MachineError: it comes from the machine.
    """
    number = _errno_of(error)
    if number is not None and number not in FROM_BYTES:
        name = errno.errorcode.get(number, str(number))
        found = f"reading failed with {name} ({os.strerror(number)})"
        raise machine_error(place, found, REMEDIES.get(number, CHECK_DRIVE)) from None
    if from_machine(error):
        raise machine_error(place, "memory was lacking", REMEDIES[errno.ENOMEM]) from None


def from_machine(error: BaseException) -> bool:
    """Whether an error is the machine's and not the file's."""
    number = _errno_of(error)
    if number is not None:
        return number not in FROM_BYTES
    # HDF5 asks for what a file declares, absurd sizes included. Where what any episode needs can
    # be had, it was the file that asked for too much.
    if isinstance(error, MemoryError):
        return True
    return asks_too_much(error) and not _has_memory()


def asks_too_much(error: BaseException) -> bool:
    """Whether HDF5 did not get the memory for what a file holds or declares."""
    return re.search(r"alloc|memory", str(error)) is not None


def _errno_of(error: BaseException) -> int | None:
    """Return the error number of the system call that failed; of HDF5's errors its text has it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    written = re.search(r"\berrno = (\d+)", str(error))
    return int(written[1]) if written else None


def _has_memory() -> bool:
    try:
        mmap.mmap(-1, MEMORY).close()
    except (OSError, ValueError, MemoryError):
        return False
    return True


@contextmanager
def bounded_memory(size: int) -> Iterator[None]:
    """Refuse the block more than :data:`MEMORY` bytes, whatever a file's texts would take.

    How long texts of any length are can only be known by reading them. Where the system has no
    such limit (macOS) the block runs without.

    Args:
        size: bytes of the file that is read.

    Raises:
        ValueError: there was enough memory for any episode, and the file asked for more.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + MEMORY
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_least(limit, *before), before[1]))
    try:
        yield
    except MemoryError as error:
        if size > MEMORY // 8:  # a smaller file has nothing that could fill the memory
            raise ValueError(f"memory beyond {MEMORY:,} bytes was asked for") from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _least(*limits: int) -> int:
    return min(limit for limit in limits if limit != resource.RLIM_INFINITY)


@contextmanager
def named(raw: Path) -> Iterator[None]:
    """Name the raw file in what the machine could not do.

    Raises:
        UserError: reading the file or writing its frames failed for a reason outside of it.
    """
    try:
        yield
    except MachineError as error:
        raise UserError(f"{raw}, {error}") from None
    except MemoryError as error:
        blame(error, f"{raw}, while it was converted")
    except OSError as error:
        if error.errno is None or error.errno in DISK_FULL:
            raise
        remedy = REMEDIES.get(error.errno, CHECK_DRIVE)
        raise machine_error(f"{raw}, while it was converted", str(error), remedy) from None

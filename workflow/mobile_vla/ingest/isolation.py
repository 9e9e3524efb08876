"""Run the reading of a raw file in a child process.

A single wrong bit can send HDF5 into an endless loop or a segmentation fault, beyond exceptions.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from mobile_vla.errors import UserError
from mobile_vla.ingest.rawfile import rejection

INTACT = "an intact HDF5 file"
STALL_SECONDS = 120.0  # without a message; a block of images takes one or two, even over NFS

CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
"""Signals that a damaged file causes. Others come from outside: a user, or the lack of memory."""

T = TypeVar("T")

Announce = Callable[[str], None]
"""Names the place in the file that is read next."""


def isolated(work: Callable[[Announce], T]) -> T:
    """Run a function in a child process and return its picklable result.

    Args:
        work: what to run; it calls its argument with the place before each thing that it reads.
            When it stalls or dies, the last of these places becomes the defect's.

    Raises:
        Rejected: ``work`` raised it, crashed, or sent nothing for ``STALL_SECONDS``.
        UserError: the child was killed from outside.
        Exception: whatever else ``work`` raised.
    """
    # A forked child starts at once and has everything imported; a fresh interpreter would take
    # longer than reading an episode does.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(work, receiver, sender))
    child.start()
    sender.close()
    place = "file"
    try:
        while True:
            if not receiver.poll(STALL_SECONDS):
                found = f"HDF5 did not come to an end in {STALL_SECONDS:g} s"
                raise rejection("unreadable", place, found, INTACT)
            try:
                kind, value = receiver.recv()
            except EOFError:
                child.join()
                raise _died(place, child.exitcode) from None
            if kind == "place":
                place = value
            elif kind == "result":
                return value
            else:
                raise value
    finally:
        child.kill()
        child.join()
        receiver.close()


def _run(work: Callable[[Announce], object], receiver: Connection, sender: Connection) -> None:
    # Only the parent may hold the reading end: once it is gone, the next report ends the child.
    receiver.close()
    try:
        result = work(lambda place: sender.send(("place", place)))
    except Exception as error:
        sender.send(("error", error))
    else:
        sender.send(("result", result))


def _died(place: str, code: int | None) -> Exception:
    number = -code if code is not None and code < 0 else 0
    reason = signal.Signals(number).name if number else f"exit status {code}"
    if number in CRASHES:
        found = f"HDF5 crashed ({reason}) while reading it"
        return rejection("unreadable", place, found, INTACT)
    return UserError(
        f"reading was interrupted at {place} ({reason}), which says nothing of the file; "
        "run snakemake again, and if it happens again look for lack of memory or disk space"
    )

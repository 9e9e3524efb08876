"""Run the reading of a raw file in a child process.

A single wrong bit can send HDF5 into an endless loop or a segmentation fault, beyond exceptions.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TypeVar

import psutil

from mobile_vla.ingest.machine import CHECK_DRIVE, machine_error
from mobile_vla.ingest.rawfile import rejection
from mobile_vla.sentence import say

INTACT = say("an intact HDF5 file")
STALL_SECONDS = 120.0  # without a message; a block of images takes one or two, even over NFS
LOOK_SECONDS = 1.0  # between two looks at a silent child

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
        Rejected: ``work`` raised it, crashed, or computed ``STALL_SECONDS`` without a message.
        MachineError: the child was killed from outside, or waited as long for the disk.
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
    silence = _Silence(psutil.Process(child.pid))
    try:
        while True:
            if not receiver.poll(silence.look):
                silence.check(place)
                continue
            try:
                kind, value = receiver.recv()
            except EOFError:
                child.join()
                raise _died(place, child.exitcode) from None
            if kind == "place":
                place = value
                silence.end()
            elif kind == "result":
                return value
            else:
                raise value
    finally:
        child.kill()
        child.join()
        receiver.close()


class _Silence:
    """How long a child has sent no message, by what it does meanwhile.

    An endless loop computes, and so is known from a disk that does not answer. Time in which this
    process or its child is stopped (Ctrl-Z, a suspended computer or cluster job) does not count.
    """

    def __init__(self, child: psutil.Process):
        self.child = child
        self.look = min(LOOK_SECONDS, STALL_SECONDS / 4)
        self.end()

    def end(self) -> None:
        """Begin anew, at a message."""
        self.waited = self.computed = 0.0
        self.last: float | None = None

    def check(self, place: str) -> None:
        """Count the time since the last look.

        Raises:
            Rejected: the child computed too long.
            MachineError: it waited too long.
        """
        with suppress(psutil.Error):  # it has ended, as reading its messages will show
            status = self.child.status()
            if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
                return
            times = self.child.cpu_times()
            now = times.user + times.system
            passed = 0.0 if self.last is None else now - self.last
            self.last = now
            self.computed += passed
            # On a busy machine a process may be ready and not run; macOS calls all so.
            ready = psutil.LINUX and status == psutil.STATUS_RUNNING
            if passed < self.look / 20 and not ready:
                self.waited += self.look  # not the clock's: this process may have been stopped
            if self.computed >= STALL_SECONDS:
                found = say(
                    "HDF5 computed for {seconds:g} s and did not come to an end",
                    seconds=STALL_SECONDS,
                )
                raise rejection("unreadable", place, found, INTACT)
            if self.waited >= STALL_SECONDS:
                waited = f"no answer to a request to read in {STALL_SECONDS:g} s"
                raise machine_error(place, waited, CHECK_DRIVE)


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
        found = say("HDF5 crashed ({reason}) while reading it", reason=reason)
        return rejection("unreadable", place, found, INTACT)
    remedy = "if it happens again look for lack of memory or disk space"
    return machine_error(place, f"reading was interrupted ({reason})", remedy)

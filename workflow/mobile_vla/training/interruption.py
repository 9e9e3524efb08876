"""Interruption: on Ctrl-C and SIGTERM the step ends, the state is saved, then the job ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mobile_vla.ranks import processes


class StopSignal:
    """The signal that the run is to end by, if one has come."""

    number: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Store a signal's number; a second Ctrl-C does not wait for the step's end.

        Several processes receive the first Ctrl-C twice, from the terminal and from torchrun.
        """
        if self.number == signal.SIGINT == number and processes() == 1:
            raise KeyboardInterrupt
        self.number = number


@contextmanager
def stop_signal() -> Iterator[StopSignal]:
    """Store SIGINT and SIGTERM while the block runs, instead of ending at once."""
    stop = StopSignal()
    before = {
        number: signal.signal(number, stop.receive) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

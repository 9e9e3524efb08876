"""Interruption: on Ctrl-C and SIGTERM the step ends, the state is saved, then the job ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mobile_vla.ranks import processes


class Request:
    """Whether somebody has asked the run to end."""

    number: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; a second Ctrl-C does not wait for the step's end.

        To several processes the first one comes twice, from the terminal and from torchrun.
        """
        if self.number == signal.SIGINT == number and processes() == 1:
            raise KeyboardInterrupt
        self.number = number


@contextmanager
def requests() -> Iterator[Request]:
    """Take note of SIGINT and SIGTERM while the block runs, instead of dying by them."""
    request = Request()
    before = {
        number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

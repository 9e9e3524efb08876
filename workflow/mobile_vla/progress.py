"""Progress of a long job: one line that moves on a terminal, plain lines now and then in a log."""

from __future__ import annotations

import logging
import sys
import time

log = logging.getLogger(__name__)

CLEAR = "\r\x1b[2K"  # to the line's beginning, and erase it
TERMINAL_EVERY = 0.2  # seconds between updates of the moving line
LOG_EVERY = 15.0  # seconds between plain lines


class Progress:
    """Counts what is done of a total, and says how long the rest will take.

    ``done`` is how many were done before, as when a run is resumed.
    """

    def __init__(self, title: str, total: int, unit: str, done: int = 0):
        self.title, self.total, self.unit = title, total, unit
        self.done = self.before = done
        self.started = self.shown = self.logged = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def update(self, count: int, note: str = "") -> None:
        """Say that ``count`` more are done; ``note`` is shown beside, such as the loss."""
        self.done += count
        now = time.monotonic()
        if self.terminal and now - self.shown > TERMINAL_EVERY:
            sys.stderr.write(CLEAR + self._line(now, note))
            sys.stderr.flush()
            self.shown = now
        elif not self.terminal and now - self.logged > LOG_EVERY:
            log.info("%s", self._line(now, note))
            self.logged = now

    def close(self) -> None:
        """Clear the moving line, so that what follows stands in a line of its own."""
        if self.terminal:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()

    def _line(self, now: float, note: str) -> str:
        rate = (self.done - self.before) / max(now - self.started, 1e-9)
        left = (self.total - self.done) / rate if rate else float("inf")
        done = f"{self.title}: {self.done}/{self.total} {self.unit}"
        parts = [done, note, f"{rate:.1f} {self.unit}/s", f"{duration(left)} left"]
        return ", ".join(part for part in parts if part)


class TerminalHandler(logging.Handler):
    """Prints each message on a line of its own, on whatever standard error is by then."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        try:
            start = CLEAR if sys.stderr.isatty() else ""
            sys.stderr.write(f"{start}{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def duration(seconds: float) -> str:
    """Return a duration for people: ``0.4 s``, ``42 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

"""Runs that are not there yet, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["failed", "waiting"]


@dataclass(frozen=True)
class Missing:
    """A run without results.

    Args:
        state: ``failed`` where a log tells of it, else ``waiting``.
        log: the log's path; empty where there is none.
        tail: its last lines.
    """

    experiment: str
    run: str
    state: State
    log: str
    tail: str

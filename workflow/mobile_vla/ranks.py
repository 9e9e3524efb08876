"""The processes of one run, as torchrun tells each of them; one that is alone is the first.

Without PyTorch, so that a process knows its place before anything is loaded.
"""

from __future__ import annotations

import os


def rank() -> int:
    """Return which of the run's processes this is; the first, 0, is the one that writes."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Return which of the run's processes on this machine this is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def processes() -> int:
    """Return how many processes the run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_processes() -> int:
    """Return how many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

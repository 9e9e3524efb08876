"""Keep a policy's commands within what the robot did in the training episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ACTIONS = ("clamp", "stop")


@dataclass(frozen=True)
class Guarded:
    """A chunk that may be carried out."""

    chunk: np.ndarray
    """(C, A) float32."""
    clamped: int
    """How many of its commands were changed to the nearest ones that are allowed."""
    stopped: str | None
    """Why all of them became the stop: ``not_finite``, ``beyond``, ``jump``; or None."""


@dataclass(frozen=True)
class Guard:
    """Limits of commands, in raw command units.

    A command of the stop, zeros, is always allowed, however fast it comes.

    Args:
        lowest: (A,) smallest value of each dimension.
        highest: (A,) largest value of each dimension.
        change: (A,) largest change of each dimension from a command to the next.
        beyond: what becomes of a command beyond the range: ``clamp`` or ``stop``.
        jump: what becomes of a command that changes faster.
    """

    lowest: np.ndarray
    highest: np.ndarray
    change: np.ndarray
    beyond: str
    jump: str

    def said(self) -> dict[str, Any]:
        """Return the limits as plain values."""
        return {
            "lowest": self.lowest.tolist(),
            "highest": self.highest.tolist(),
            "change": self.change.tolist(),
            "beyond": self.beyond,
            "jump": self.jump,
        }

    def check(self, chunk: np.ndarray, before: np.ndarray) -> Guarded:
        """Check a chunk (C, A), whose first command follows the command ``before``, (A,)."""
        if not np.isfinite(chunk).all():
            return _stop(chunk, "not_finite")
        kept = np.clip(chunk, self.lowest, self.highest).astype(chunk.dtype)
        if self.beyond == "stop" and (kept != chunk).any():
            return _stop(chunk, "beyond")
        for row in range(len(kept)):
            if kept[row].any():
                slow = np.clip(kept[row], before - self.change, before + self.change)
                if self.jump == "stop" and _differs(slow, kept[row]):
                    return _stop(chunk, "jump")
                if _differs(slow, kept[row]):
                    kept[row] = slow
            before = kept[row]
        return Guarded(kept, int((kept != chunk).any(axis=1).sum()), None)


def _differs(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether commands differ by more than the rounding of their sums."""
    return bool((np.abs(one - other) > 1e-6 * np.maximum(1.0, np.abs(other))).any())


def _stop(chunk: np.ndarray, why: str) -> Guarded:
    return Guarded(np.zeros_like(chunk), 0, why)

"""Mirror frames, actions and prompts: what a robot records in the mirrored world."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS

SIGNS = np.array([1.0, -1.0, -1.0], dtype=np.float32)
"""Of :data:`ACTION_COLUMNS`: x points forward, y to the left, and a turn changes its sense."""
assert len(SIGNS) == len(ACTION_COLUMNS)

EXCHANGED = {"left": "right", "right": "left", "왼쪽": "오른쪽", "오른쪽": "왼쪽"}
_WORDS = re.compile(r"\b(?:left|right)\b|왼쪽|오른쪽", re.IGNORECASE)


def mirrored_frames(frames: np.ndarray) -> np.ndarray:
    """Flip frames (n, 224, 224, 3) left to right; a copy."""
    return np.ascontiguousarray(frames[:, :, ::-1])


def mirrored_values(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Exchange left and right in what prompts are made of: scenario and ``instruction``."""
    side, text = values.get("side"), values.get("instruction")
    mirrored = dict(values)
    if side is not None:
        mirrored["side"] = EXCHANGED[side]
    if text is not None:
        mirrored["instruction"] = _WORDS.sub(_exchange, text)
    return mirrored


def _exchange(match: re.Match[str]) -> str:
    word = match[0]
    other = EXCHANGED[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other

"""Write an episode as the robot's collector does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mobile_vla.files import atomic_path

INSTRUCTION_BYTES = 256  # at least, of the stored instruction


def write_episode(
    path: Path,
    images: Iterable[np.ndarray],
    actions: np.ndarray,
    *,
    size: tuple[int, int],
    event_types: Sequence[str] | None,
    instruction: str | None,
    attributes: Mapping[str, Any],
) -> None:
    """Write an episode; the same content gives the same bytes.

    Args:
        path: ``EPISODE.h5`` to write, whole or not at all.
        images: T images (H, W, 3) uint8.
        actions: (T, 3) float32, command units.
        size: (H, W).
        event_types: T texts; None writes none, as with the instruction.
    """
    length = len(actions)
    how = {"compression": "gzip", "compression_opts": 1, "track_times": False}
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        stored = file.create_dataset(
            "images", shape=(length, *size, 3), dtype=np.uint8, chunks=(1, *size, 3), **how
        )
        for frame, image in enumerate(images):
            stored[frame] = image
        file.create_dataset("actions", data=actions, **how)
        if event_types is not None:
            texts = np.array(list(event_types), dtype=object)
            kind = h5py.string_dtype("utf-8")
            file.create_dataset("action_event_types", data=texts, dtype=kind, **how)
        if instruction is not None:
            text = instruction.encode()
            kind = f"S{max(INSTRUCTION_BYTES, len(text))}"
            stored_text = np.array([text], dtype=kind)
            file.create_dataset("language_instruction", data=stored_text, track_times=False)
        for name in sorted(attributes):
            file.attrs[name] = attributes[name]

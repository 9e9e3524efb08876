"""Datasets in memory, for tests that need no files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobile_vla.data.dataset import Dataset, Episode


def make_dataset(lengths: Sequence[int], seed: int = 0) -> Dataset:
    """Return a dataset whose episodes pass left and right in turn, with keyboard-like actions."""
    random = np.random.default_rng(seed)
    episodes = tuple(
        Episode(
            name=f"episode_{index:03d}",
            frames=length,
            scenario={
                "obstacles": "1box",
                "layout": "hori",
                "side": ("left", "right")[index % 2],
                "style": "core",
                "distance": "close",
            },
            group=f"episode_{index:03d}",
            instruction=None,
            raw_sha256="",
            frames_sha256="",
        )
        for index, length in enumerate(lengths)
    )
    sizes = np.array(lengths, dtype=np.int64)
    actions = random.choice([0.0, 1.15, -1.15], size=(sizes.sum(), 3)).astype(np.float32)
    return Dataset(
        name="demo",
        digest="0" * 64,
        episodes=episodes,
        lengths=sizes,
        offsets=np.cumsum(sizes) - sizes,
        actions=actions,
        folder=Path("results/datasets/demo"),
        _indices={episode.name: index for index, episode in enumerate(episodes)},
    )

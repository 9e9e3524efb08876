"""How many optimiser steps another run takes, for runs that are to be trained equally long."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.training import Matched
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import load_split
from mobile_vla.data.windows import make_windows
from mobile_vla.training.batches import steps_per_epoch


def steps_of(other: Matched | None, dataset: Dataset, split: Path, fold: int) -> int | None:
    """Return the optimiser steps of another run on the same fold; None where there is none.

    Raises:
        UserError: that run would have no windows, or fewer episodes than its subset.
    """
    if other is None:
        return None
    episodes = load_split(split, dataset, fold, other.subset).of["train"]
    windows = len(make_windows(dataset, episodes, other.windows)) * (2 if other.mirror else 1)
    return steps_per_epoch(windows, other.batch_size, other.accumulation) * other.epochs

"""The plain way to train on windows: the reference of the ablation and of the tests.

As in RoboVLMs (Li et al. 2024, arXiv:2412.14058), each sample runs every frame of its window
through the whole model, from pixels to readout, and nothing is shared between windows or kept for
the next epoch. The policy and its trained parameters are those of the experiment, so loss and
gradients must be the same.
"""

from __future__ import annotations

import numpy as np
import torch

from mobile_vla.data.windows import WindowTable
from mobile_vla.features.store import Rows
from mobile_vla.runs.samples import Batch, Samples


class PerWindow:
    """The windows of some samples, each with its own copy of every frame it holds.

    Args:
        samples: the windows, their prompts and their actions.
        rows: what is read of each frame, by row: raw images made frames, frames, or features.
    """

    def __init__(self, samples: Samples, rows: Rows):
        self.samples = samples
        self.rows = rows

    @property
    def table(self) -> WindowTable:
        """The windows."""
        return self.samples.table

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather the windows with the given indices (B,): B·W frames, however many are the same.

        Pictures stay as recorded, whatever ``key`` says: what random changes cost, both ways pay.
        """
        frames = self.table.frames[indices]  # (B, W)
        rows = frames.ravel()  # (B · W,)
        return Batch(
            features=self.rows[rows],
            prompts=self.samples.prompt_of_row[rows],
            windows=torch.arange(len(rows)).view(frames.shape),
            targets=self.samples.actions[self.table.targets[indices]],
            mask=torch.from_numpy(self.table.mask[indices]),
        )

    def episodes_of(self, indices: np.ndarray) -> list[str]:
        """Return the names of the episodes that some windows come from."""
        return self.samples.episodes_of(indices)

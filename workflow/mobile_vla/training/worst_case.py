"""The largest batch that a run's steps have to hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from mobile_vla.backbone.kosmos2 import sizes_of
from mobile_vla.config.features import Cut
from mobile_vla.config.training import TrainSettings
from mobile_vla.data.windows import WindowTable
from mobile_vla.machine import default_device
from mobile_vla.model.encoder import PromptTokens
from mobile_vla.ranks import local_processes
from mobile_vla.runs.data import RunData
from mobile_vla.training.batches import epoch_steps, steps_per_epoch


@dataclass(frozen=True)
class WorstCase:
    """The largest batch of a run's steps, and what else decides how much a step holds."""

    frames: int  # F, most distinct frames of a batch
    windows: int  # B, windows of a batch
    tokens: int  # S, length of the longest prompt with image and action token
    accumulation: int  # batches to a step
    precision: str  # resolved number format
    checkpointing: bool  # whether only the layers' inputs are kept for the backward pass
    cut: Cut  # where the features are taken that the step reads
    processes: int = 1  # that share the memory, each with such a batch
    every_frame: bool = False  # whether a chunk is predicted at each frame of a window
    robots: int = 0  # side by side in validation; with some the whole model is loaded


def worst_case(settings: TrainSettings, data: RunData, steps: int | None = None) -> WorstCase:
    """Return the largest batch that one of the run's processes has to hold."""
    training = settings.training
    frames, windows = largest_batch(settings, data, steps)
    return WorstCase(
        frames=frames,
        windows=windows,
        tokens=longest_prompt(data),
        accumulation=training.accumulation,
        precision=data.precision,
        checkpointing=training.gradient_checkpointing,
        cut=settings.policy.cut,
        processes=local_processes() if default_device().type == "cpu" else 1,
        every_frame=training.supervise == "every_frame",
        robots=0 if settings.drives is None else settings.drives.batch_size,
    )


def largest_batch(
    settings: TrainSettings, data: RunData, steps: int | None = None
) -> tuple[int, int]:
    """Return how many distinct frames F and windows B a process holds at most."""
    training, samples = settings.training, data.samples["train"]
    table = samples.table
    windows = min(training.batch_size, table.drawn_windows)
    windows = -(-windows // training.processes)
    if samples.photometric is not None:  # with it, no two windows share a picture
        return windows * table.frames.shape[1], windows
    frames = max(
        len(np.unique(table.frames[share]))
        for batch in _batches(settings, table, steps)
        for share in np.array_split(batch, training.processes)
    )
    return frames, windows


def _batches(
    settings: TrainSettings, table: WindowTable, steps: int | None
) -> Iterator[np.ndarray]:
    """Yield the window indices of each batch of the run."""
    training = settings.training
    per_epoch = steps_per_epoch(table.drawn_windows, training.batch_size, training.accumulation)
    total = per_epoch * training.epochs if steps is None else steps
    whole, rest = divmod(total, per_epoch)
    for epoch in range(math.ceil(total / per_epoch)):
        done = epoch_steps(table, training, settings.seed, epoch)
        yield from chain.from_iterable(done if epoch < whole else done[:rest])


def longest_prompt(data: RunData) -> int:
    """Return the number of tokens of the longest prompt, with image and action token."""
    image_tokens = sizes_of(data.backbone.config()).image_tokens
    prompts = PromptTokens.of(data.prompts.texts, data.backbone.processor(), image_tokens)
    return int(prompts.action.max()) + 1

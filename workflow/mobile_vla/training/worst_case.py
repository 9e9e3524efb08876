"""The worst-case batch of a run, known before its backbone is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mobile_vla.backbone.kosmos2 import sizes_of
from mobile_vla.config.training import TrainSettings
from mobile_vla.data.windows import WindowTable
from mobile_vla.machine import default_device
from mobile_vla.model.encoder import PromptTokens
from mobile_vla.ranks import local_processes
from mobile_vla.runs.data import RunData
from mobile_vla.training.batches import epoch_batches, split_by_process, steps_per_epoch
from mobile_vla.training.memory import WorstCase


def worst_case(settings: TrainSettings, data: RunData, steps: int | None = None) -> WorstCase:
    """Return the largest batch that one of the run's processes has to hold.

    Args:
        settings: the run.
        data: what it reads.
        steps: optimiser steps of the whole run; None: those of ``training.epochs``.
    """
    training, samples = settings.training, data.samples["train"]
    table, windows = samples.table, min(training.batch_size, len(samples))
    windows = -(-windows // training.processes)
    frames = windows * table.frames.shape[1]
    if samples.photometric is None:  # with it, no two windows share a picture
        frames = max(
            len(np.unique(table.frames[share]))
            for batch in _batches(settings, table, steps)
            for share in split_by_process(batch, training.processes)
        )
    return WorstCase(
        frames=frames,
        windows=windows,
        tokens=longest_prompt(data),
        accumulation=training.accumulation,
        precision=data.precision,
        checkpointing=training.gradient_checkpointing,
        cut=settings.policy.cut,
        processes=local_processes() if default_device().type == "cpu" else 1,
    )


def _batches(
    settings: TrainSettings, table: WindowTable, steps: int | None
) -> Iterator[np.ndarray]:
    """Yield the window indices of each batch of the run."""
    training = settings.training
    per_epoch = steps_per_epoch(len(table), training.batch_size, training.accumulation)
    total = per_epoch * training.epochs if steps is None else steps
    whole, rest = divmod(total, per_epoch)
    for epoch in range(math.ceil(total / per_epoch)):
        batches = epoch_batches(table, training.batch_size, training.segment, settings.seed, epoch)
        yield from batches if epoch < whole else batches[: rest * training.accumulation]


def longest_prompt(data: RunData) -> int:
    """Return the number of tokens of the longest prompt, with image and action token."""
    backbone = data.backbone
    image_tokens = sizes_of(backbone.config()).image_tokens
    prompts = PromptTokens.of(data.prompts.texts, backbone.processor(), image_tokens)
    return int(prompts.action.max()) + 1

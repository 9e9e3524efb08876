"""Time an experiment's epoch without running one, and project the full run."""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from mobile_vla.config.timing import TimeSettings
from mobile_vla.files import write_json, write_text
from mobile_vla.machine import use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.timing.page import timing_page
from mobile_vla.training.run import (
    RunData,
    build_policy,
    load_data,
)
from mobile_vla.training.trainer import Trainer

log = logging.getLogger(__name__)


def measure(
    settings: TimeSettings,
    *,
    manifest: Path,
    actions: Path,
    split: Path,
    backbone: Path,
    features: Path | None = None,
    mirrored: Path | None = None,
    threads: int,
    timing: Path,
    page: Path,
) -> None:
    """Measure real optimiser steps and a validation pass of an experiment's first run.

    The arguments are those of :func:`mobile_vla.training.train.train`; ``timing`` and ``page`` are
    the JSON and the HTML to write. Nothing that is trained here is kept.
    """
    run = settings.run
    use_threads(run.training.threads, threads, "training.threads")
    data = load_data(
        run.policy,
        run.windows,
        run.training.precision,
        fold=run.fold,
        subset=run.subset,
        manifest=manifest,
        actions=actions,
        split=split,
        backbone=backbone,
        features=features,
        mirrored=mirrored,
        photometric=run.photometric,
    )
    policy: Policy = build_policy(run.policy, run.seed, data, init_from=None)
    trainer = Trainer(policy, run.training, data.samples["train"], run.seed, data.precision)
    found = _measure(settings, trainer, data)
    write_json(timing, found)
    write_text(page, timing_page(found))
    log.info(
        "%s: %.3g s a step, %.3g s an epoch, %.3g s for %d epochs",
        run.experiment,
        found["seconds_per_step"]["median"],
        found["seconds_per_epoch"],
        found["projected_seconds"],
        found["epochs"],
    )


def _measure(settings: TimeSettings, trainer: Trainer, data: RunData) -> dict[str, Any]:
    warmup, steps = settings.timing.warmup_steps, settings.timing.steps
    seconds, windows = [], []
    batches = itertools.chain.from_iterable(map(trainer.epoch, itertools.count()))
    for number, batch in zip(range(warmup + steps), batches, strict=False):
        started = time.perf_counter()
        trainer.step(number, batch)
        _synchronise(trainer)
        if number >= warmup:
            seconds.append(time.perf_counter() - started)
            windows.append(sum(map(len, batch)))
    started = time.perf_counter()
    trainer.validate(data.samples["val"])
    _synchronise(trainer)
    validation = time.perf_counter() - started

    # An epoch's last step may be a short one, so its windows count and not its steps.
    rate = sum(windows) / sum(seconds)
    median_rate = statistics.median(
        count / taken for count, taken in zip(windows, seconds, strict=True)
    )
    epoch = len(trainer.samples) / median_rate + validation
    load = os.getloadavg()[0]
    run = settings.run
    return {
        "experiment": run.experiment,
        "run": run.run,
        "device": trainer.accelerator.device.type,
        "threads": run.training.threads,
        "precision": trainer.precision,
        "warmup_steps": warmup,
        "steps": steps,
        "seconds_per_step": {
            "median": statistics.median(seconds),
            "min": min(seconds),
            "max": max(seconds),
        },
        "steps_per_epoch": trainer.steps_per_epoch,
        "windows_per_step": run.training.batch_size * run.training.accumulation,
        "windows_per_second": median_rate,
        "mean_windows_per_second": rate,
        "validation_seconds": validation,
        "seconds_per_epoch": epoch,
        "epochs": run.training.epochs,
        "projected_seconds": epoch * run.training.epochs,
        "load_average": load,
        "contended": load > len(os.sched_getaffinity(0)) + 0.5 or max(seconds) > 3 * min(seconds),
    }


def _synchronise(trainer: Trainer) -> None:
    """Wait for a GPU's queue, or a step would seem to take no time."""
    if trainer.accelerator.device.type == "cuda":
        torch.cuda.synchronize()

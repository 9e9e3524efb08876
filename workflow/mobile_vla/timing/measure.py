"""Time an experiment's epoch without running one, and say what limits it."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.features import VIEWS
from mobile_vla.config.timing import TimeSettings
from mobile_vla.data.frames import open_frames
from mobile_vla.data.windows import WindowTable
from mobile_vla.features.store import BothViews, FrameRows
from mobile_vla.files import write_json, write_text
from mobile_vla.machine import default_device, device_name, peak_memory, use_threads
from mobile_vla.provenance.record import versions
from mobile_vla.timing.ladder import climb, rungs
from mobile_vla.timing.matrix_rate import synchronise
from mobile_vla.timing.operations import Operations
from mobile_vla.timing.page import timing_page
from mobile_vla.timing.raw_rows import RawRows
from mobile_vla.training.batches import Batch
from mobile_vla.training.demand import load_of
from mobile_vla.training.matching import steps_of
from mobile_vla.training.memory import Estimate, check_memory
from mobile_vla.training.run import RunData, build_policy, load_data
from mobile_vla.training.trainer import Source, Trainer

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy")


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
    memory_limit_gb: float | None = None,
    timing: Path,
    page: Path,
) -> None:
    """Measure real optimiser steps and a validation pass of an experiment's first run.

    The arguments are those of :func:`mobile_vla.training.train.train`; ``timing`` and ``page`` are
    the JSON and the HTML to write. Nothing that is trained here is kept.
    """
    run = settings.run
    use_threads(run.training.threads, threads, "training.threads")
    device = default_device()
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
    estimate = check_memory(
        data.backbone.config(), run.policy, load_of(run, data), device.type, memory_limit_gb
    )
    policy = build_policy(run.policy, run.seed, data, init_from=None)
    trainer = Trainer(
        policy,
        run.training,
        data.samples["train"],
        run.seed,
        data.precision,
        steps_of(run.matched, data.dataset, split, run.fold),
    )
    found = {
        "experiment": run.experiment,
        "run": run.run,
        "device": device.type,
        "device_name": device_name(device),
        "threads": run.training.threads,
        "precision": data.precision,
        "cut": run.policy.cut,
        "versions": versions(PACKAGES),
        **_steps(settings, trainer, data),
        "memory": _memory(estimate, trainer, memory_limit_gb),
        "ladder": _ladder(settings, trainer, data),
    }
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


class _Watched:
    """A source of batches that notes how long the trainer waited for them."""

    def __init__(self, source: Source):
        self.source = source
        self.seconds = 0.0
        self.frames = 0

    @property
    def table(self) -> WindowTable:
        return self.source.table

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        started = time.perf_counter()
        batch = self.source.batch(indices, key)
        self.seconds += time.perf_counter() - started
        self.frames += len(batch.features)
        return batch

    def episodes_of(self, indices: np.ndarray) -> list[str]:
        return self.source.episodes_of(indices)


def _steps(settings: TimeSettings, trainer: Trainer, data: RunData) -> dict[str, Any]:
    """Time steps and a validation pass, and compare with what the machine can do."""
    run, device = settings.run, trainer.accelerator.device
    warmup, steps = settings.timing.warmup_steps, settings.timing.steps
    operations = Operations(run, data)
    seconds, waited, windows, frames = [], [], [], []
    batches = itertools.chain.from_iterable(map(trainer.epoch, itertools.count()))
    own = trainer.samples
    for number, batch in zip(range(warmup + steps), batches, strict=False):
        trainer.samples = watched = _Watched(own)
        started = time.perf_counter()
        trainer.step(number, batch)
        synchronise(device)
        if number >= warmup:
            seconds.append(time.perf_counter() - started)
            waited.append(watched.seconds)
            windows.append(sum(map(len, batch)))
            frames.append(watched.frames)
    trainer.samples = own
    load = os.getloadavg()[0]
    started = time.perf_counter()
    trainer.validate(data.samples["val"])
    synchronise(device)
    validation = time.perf_counter() - started

    # An epoch's last step may be a short one, so its windows count and not its steps.
    per_second = [count / taken for count, taken in zip(windows, seconds, strict=True)]
    epoch = len(own) / statistics.median(per_second) + validation
    return {
        "warmup_steps": warmup,
        "steps": steps,
        "seconds_per_step": {
            "median": statistics.median(seconds),
            "min": min(seconds),
            "max": max(seconds),
        },
        "data_share": sum(waited) / sum(seconds),
        "steps_per_epoch": trainer.steps_per_epoch,
        "windows_per_step": run.training.batch_size * run.training.accumulation,
        "frames_per_step": statistics.mean(frames),
        "windows_per_second": statistics.median(per_second),
        "mean_windows_per_second": sum(windows) / sum(seconds),
        "validation_seconds": validation,
        "seconds_per_epoch": epoch,
        "epochs": trainer.epochs,
        "projected_seconds": epoch * trainer.total_steps / trainer.steps_per_epoch,
        "load_average": load,
        "contended": load > len(os.sched_getaffinity(0)) + 0.5 or max(seconds) > 3 * min(seconds),
        **operations.record(trainer, frames, windows, seconds),
    }


def _memory(estimate: Estimate, trainer: Trainer, limit_gb: float | None) -> dict[str, Any]:
    """Return the peak so far beside its estimate, and the size of the adapter; bytes."""
    adapter = trainer.policy.trained().get("adapter_model", {})
    return {
        "measured": peak_memory(trainer.accelerator.device),
        "estimate": estimate.record(),
        "limit_gb": limit_gb,
        "adapter": sum(tensor.nbytes for tensor in adapter.values()),
    }


def _ladder(settings: TimeSettings, trainer: Trainer, data: RunData) -> list[dict[str, Any]]:
    """Compare with the plain way; empty where the experiment does not ask for it."""
    if settings.images is None:
        return []
    dataset, images, count = data.dataset, settings.images, data.dataset.rows
    views = VIEWS if settings.run.policy.mirror else VIEWS[:1]
    raw = [RawRows(dataset, images, view) for view in views]
    frames = [FrameRows(open_frames(dataset), view) for view in views]
    samples = copy.copy(data.samples["train"])
    samples.photometric = None  # what random changes of the pictures cost, all ways would pay
    ladder = rungs(
        samples,
        settings.run.policy.cut,
        BothViews(raw[0], raw[-1], count),
        BothViews(frames[0], frames[-1], count),
        data.precision,
        trainer.accelerator.device,
    )
    return climb(trainer, ladder)

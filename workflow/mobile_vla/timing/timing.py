"""Time an experiment's epoch without running one, and say what limits it."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import statistics
import time
from typing import Any

from mobile_vla.config.features import VIEWS, Cut
from mobile_vla.config.timing import TimeSettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.data.frames import open_frames
from mobile_vla.features.store import BothViews, FrameRows
from mobile_vla.files import write_json, write_text
from mobile_vla.layout import TimingFiles
from mobile_vla.machine import default_device, device_name, peak_memory, use_threads
from mobile_vla.provenance.record import versions
from mobile_vla.runs.data import RunData, open_run
from mobile_vla.runs.inputs import TrainingInputs
from mobile_vla.runs.policy import build_policy
from mobile_vla.timing.ablation import climb, rungs
from mobile_vla.timing.data_wait import Watched
from mobile_vla.timing.matrix_rate import synchronise
from mobile_vla.timing.operations import Operations
from mobile_vla.timing.page import timing_page
from mobile_vla.timing.raw_rows import RawRows
from mobile_vla.training.matching import steps_of
from mobile_vla.training.memory import Estimate, check_memory
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import load_of

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy")


def timing(
    settings: TimeSettings,
    inputs: TrainingInputs,
    outputs: TimingFiles,
    *,
    threads: int,
    memory_limit_gb: float | None = None,
) -> None:
    """Measure real optimiser steps and a validation pass of an experiment's first run.

    With several processes each takes part, and the first one writes what it has seen: the steps are
    the run's, the memory and the operations are one process's. Nothing that is trained here is
    kept.

    The arguments are those of :func:`mobile_vla.training.train.train`.
    """
    run = settings.run
    use_threads(run.training.threads, threads, "training.threads")
    device = default_device()
    data = open_run(run, inputs, run.training.precision, run.photometric)
    steps = steps_of(run.matched, data.dataset, inputs.split, run.fold)
    load = load_of(run, data, steps)
    estimate = check_memory(data.backbone.config(), run.policy, load, device.type, memory_limit_gb)
    trainer = _trainer(run, data, steps)
    found = {
        "experiment": run.experiment,
        "run": run.run,
        "device": device.type,
        "device_name": device_name(device),
        "threads": run.training.threads,
        "processes": run.training.processes,
        "precision": data.precision,
        "cut": run.policy.cut,
        "versions": versions(PACKAGES),
        **_steps(settings, trainer, data),
        "memory": _memory(estimate, trainer, memory_limit_gb),
    }
    if not trainer.writes:
        return
    del trainer  # the ladder's has the vision tower besides
    found["ladder"] = _ladder(settings, data)
    write_json(outputs.timing, found)
    write_text(outputs.page, timing_page(found))
    log.info(
        "%s: %.3g s a step, %.3g s an epoch, %.3g s for %d epochs",
        run.experiment,
        found["seconds_per_step"]["median"],
        found["seconds_per_epoch"],
        found["projected_seconds"],
        found["epochs"],
    )


def _steps(settings: TimeSettings, trainer: Trainer, data: RunData) -> dict[str, Any]:
    """Time steps and a validation pass, and compare with what the machine can do."""
    run, device = settings.run, trainer.accelerator.device
    warmup, steps = settings.timing.warmup_steps, settings.timing.steps
    operations = Operations(run, data)
    seconds, waited, windows, own_windows, frames = [], [], [], [], []
    batches = itertools.chain.from_iterable(map(trainer.epoch, itertools.count()))
    own = trainer.samples
    for number, batch in zip(range(warmup + steps), batches, strict=False):
        trainer.samples = watched = Watched(own)
        started = time.perf_counter()
        trainer.step(number, batch)
        synchronise(device)
        if number >= warmup:
            seconds.append(time.perf_counter() - started)
            waited.append(watched.seconds)
            windows.append(sum(map(len, batch)))
            own_windows.append(sum(len(trainer.share(indices)) for indices in batch))
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
        **operations.record(trainer, frames, own_windows, seconds),
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


def _trainer(
    run: TrainSettings, data: RunData, steps: int | None = None, cut: Cut | None = None
) -> Trainer:
    """Return a trainer of the run, whose policy begins at a cut: by default at its own."""
    policy = build_policy(run.policy, run.seed, data, cut=cut)
    return Trainer(policy, run.training, data.samples["train"], run.seed, data.precision, steps)


def _ladder(settings: TimeSettings, data: RunData) -> list[dict[str, Any]]:
    """Compare with the plain way; empty where the experiment does not ask for it."""
    if not settings.timing.ladder:
        return []
    trainer = _trainer(settings.run, data, cut="pixels")
    dataset, images, count = data.dataset, settings.run.images, data.dataset.rows
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

"""Time an experiment's epoch without running one, and compare with what the machine can do."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import statistics
import time
from pathlib import Path

import numpy as np

from mobile_vla.config.features import VIEWS
from mobile_vla.config.timing import TimeSettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.data.frames import open_frames
from mobile_vla.features.store import FrameRows, JoinedRows
from mobile_vla.files import write_text
from mobile_vla.layout import TimingFiles
from mobile_vla.machine import contended, device_name, peak_memory, use_threads
from mobile_vla.provenance.code import versions
from mobile_vla.provenance.packages import TRAINING
from mobile_vla.runs.data import RunData, TrainingInputs, open_run
from mobile_vla.runs.samples import Batch, Samples
from mobile_vla.timing.ablation import time_variants, variants_of
from mobile_vla.timing.operations import MeasuredStep, Operations, synchronise
from mobile_vla.timing.page import timing_page
from mobile_vla.timing.reference import RawRows
from mobile_vla.timing.result import PeakMemory, StepSeconds, TimingResult, VariantTime
from mobile_vla.training.batches import steps_of
from mobile_vla.training.drives import drives_of
from mobile_vla.training.memory import check_run
from mobile_vla.training.result import MemoryEstimate
from mobile_vla.training.trainer import Trainer, build_trainer

log = logging.getLogger(__name__)


class TimedBatches(Samples):
    """Windows that measure how long a trainer waits for their batches."""

    def __init__(self, samples: Samples):
        vars(self).update(vars(samples))
        self.seconds = 0.0  # spent on making batches so far
        self.frames = 0  # in them

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather windows by index (B,), and add the time that it takes to ``seconds``."""
        started = time.perf_counter()
        batch = super().batch(indices, key)
        self.seconds += time.perf_counter() - started
        self.frames += len(batch.features)
        return batch


def timing(
    settings: TimeSettings,
    inputs: TrainingInputs,
    outputs: TimingFiles,
    *,
    threads: int,
    memory_limit_gb: float | None = None,
    raw_folder: Path | None = None,
) -> None:
    """Measure real optimiser steps and a validation pass of an experiment's first run.

    With several processes each takes part, and the first one writes what it has measured: the steps
    are the run's, the memory and the operations are one process's. Nothing that is trained here is
    kept.

    The arguments are those of :func:`mobile_vla.training.train.train`, and the folder of recorded
    raw files, which the ablation reads.
    """
    run = settings.run
    use_threads(run.training.threads, threads, "training.threads")
    data = open_run(run, inputs, run.training.precision, run.photometric, run.weights)
    steps = steps_of(run.matched, data.dataset, inputs.split, run.fold)
    estimate = check_run(run, data, steps, memory_limit_gb)
    trainer = build_trainer(run, data, steps)
    result = _timed(settings, trainer, data, estimate, memory_limit_gb)
    if not trainer.is_main:
        return
    del trainer  # the ablation's has the vision tower besides
    if settings.timing.ablation:
        result = result.model_copy(update={"ablation": _ablation(run, data, raw_folder)})
    result.write(outputs.timing)
    write_text(outputs.page, timing_page(result))
    log.info(
        "%s: %.3g s a step, %.3g s an epoch, %.3g s for %d epochs",
        run.experiment,
        result.seconds_per_step.median,
        result.seconds_per_epoch,
        result.projected_seconds,
        result.epochs,
    )


def _timed(
    settings: TimeSettings,
    trainer: Trainer,
    data: RunData,
    estimate: MemoryEstimate,
    limit_gb: float | None,
) -> TimingResult:
    """Time steps and a validation pass; the ablation is left empty."""
    run, device = settings.run, trainer.accelerator.device
    warmup, count = settings.timing.warmup_steps, settings.timing.steps
    operations = Operations(run, data)
    steps = _time_steps(trainer, warmup, count)
    load = os.getloadavg()[0]
    started = time.perf_counter()
    trainer.validate(data.samples["val"])
    synchronise(device)
    validation = time.perf_counter() - started
    driving = _time_drives(trainer, run, data)
    flops, matrix_rate, achieved_rate = operations.rates(trainer, steps)
    adapter = trainer.policy.trained().get("adapter_model", {})
    seconds = [step.seconds for step in steps]
    # An epoch's last step may be a short one, so its windows count and not its steps.
    per_second = statistics.median(step.windows / step.seconds for step in steps)
    per_epoch = trainer.samples.table.drawn_windows / per_second + validation + (driving or 0.0)
    return TimingResult(
        experiment=run.experiment,
        run=run.run,
        device=device.type,
        device_name=device_name(device),
        threads=run.training.threads,
        processes=run.training.processes,
        precision=data.precision,
        cut=run.policy.cut,
        versions=versions(TRAINING),
        warmup_steps=warmup,
        steps=count,
        seconds_per_step=StepSeconds(
            median=statistics.median(seconds), min=min(seconds), max=max(seconds)
        ),
        data_share=sum(step.waited for step in steps) / sum(seconds),
        steps_per_epoch=trainer.steps_per_epoch,
        windows_per_step=run.training.batch_size * run.training.accumulation,
        frames_per_step=statistics.fmean(step.frames for step in steps),
        windows_per_second=per_second,
        validation_seconds=validation,
        driving_seconds=driving,
        seconds_per_epoch=per_epoch,
        epochs=trainer.epochs,
        projected_seconds=per_epoch * trainer.total_steps / trainer.steps_per_epoch,
        load_average=load,
        contended=contended(load, min(seconds), max(seconds)),
        flops=flops,
        matrix_rate=matrix_rate,
        achieved_rate=achieved_rate,
        share_of_matrix_rate=achieved_rate / matrix_rate,
        memory=PeakMemory(
            measured=peak_memory(device),
            estimate=estimate,
            limit_gb=limit_gb,
            adapter=sum(tensor.nbytes for tensor in adapter.values()),
        ),
        ablation=[],
    )


def _time_steps(trainer: Trainer, warmup: int, count: int) -> list[MeasuredStep]:
    """Time some steps, after others that warm up."""
    samples, device = trainer.samples, trainer.accelerator.device
    steps = itertools.chain.from_iterable(map(trainer.epoch_steps, itertools.count()))
    timed = []
    for number, batches in enumerate(itertools.islice(steps, warmup + count)):
        trainer.samples = source = TimedBatches(samples)
        started = time.perf_counter()
        trainer.step(number, batches)
        synchronise(device)
        seconds = time.perf_counter() - started
        if number >= warmup:
            timed.append(
                MeasuredStep(
                    frames=source.frames,
                    share=sum(len(trainer.share(indices)) for indices in batches),
                    windows=sum(map(len, batches)),
                    seconds=seconds,
                    waited=source.seconds,
                )
            )
    trainer.samples = samples
    return timed


def _time_drives(trainer: Trainer, run: TrainSettings, data: RunData) -> float | None:
    """Time the drives of a validation; None without some.

    A policy that has learnt nothing drives until the time limit: those of the run are shorter.
    """
    drive = drives_of(run, trainer, data)
    if drive is None:
        return None
    started = time.perf_counter()
    drive()
    synchronise(trainer.accelerator.device)
    return time.perf_counter() - started


def _ablation(run: TrainSettings, data: RunData, raw_folder: Path | None) -> list[VariantTime]:
    """Compare with the plain way of training, one change after another."""
    trainer = build_trainer(run, data, cut="pixels")
    dataset, count = data.dataset, data.dataset.rows
    views = VIEWS if run.policy.mirror else VIEWS[:1]
    raw = [RawRows(dataset, run.images, view, raw_folder) for view in views]
    frames = [FrameRows(open_frames(dataset), view) for view in views]
    samples = copy.copy(trainer.samples)
    samples.photometric = None  # what random changes of the pictures cost, all variants would pay
    variants = variants_of(
        samples,
        run.policy.cut,
        JoinedRows(*((rows, count) for rows in raw)),
        JoinedRows(*((rows, count) for rows in frames)),
        data.precision,
        trainer.accelerator.device,
    )
    return time_variants(trainer, variants)

"""Time an experiment's epoch without running one, and compare with what the machine can do."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import statistics
import time
from dataclasses import dataclass

from mobile_vla.config.features import VIEWS, Cut
from mobile_vla.config.timing import TimeSettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.data.frames import open_frames
from mobile_vla.features.store import BothViews, FrameRows
from mobile_vla.files import write_text
from mobile_vla.layout import TimingFiles
from mobile_vla.machine import contended, default_device, device_name, peak_memory, use_threads
from mobile_vla.provenance.code import versions
from mobile_vla.runs.data import RunData, open_run
from mobile_vla.runs.inputs import TrainingInputs
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.samples import Samples
from mobile_vla.timing.ablation import time_variants, variants_of
from mobile_vla.timing.data_wait import TimedBatches
from mobile_vla.timing.matrix_rate import synchronise
from mobile_vla.timing.operations import MeasuredStep, Operations
from mobile_vla.timing.page import timing_page
from mobile_vla.timing.raw_rows import RawRows
from mobile_vla.timing.result import PeakMemory, StepSeconds, TimingResult, VariantTime
from mobile_vla.training.matching import steps_of
from mobile_vla.training.memory import check_memory
from mobile_vla.training.result import MemoryEstimate
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import worst_case

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

    With several processes each takes part, and the first one writes what it has measured: the steps
    are the run's, the memory and the operations are one process's. Nothing that is trained here is
    kept.

    The arguments are those of :func:`mobile_vla.training.train.train`.
    """
    run = settings.run
    use_threads(run.training.threads, threads, "training.threads")
    data = open_run(run, inputs, run.training.precision, run.photometric)
    steps = steps_of(run.matched, data.dataset, inputs.split, run.fold)
    estimate = check_memory(
        data.backbone.config(),
        run.policy,
        worst_case(run, data, steps),
        default_device().type,
        memory_limit_gb,
    )
    trainer = _trainer(run, data, steps)
    result = _timed(settings, trainer, data, estimate, memory_limit_gb)
    if not trainer.is_main:
        return
    del trainer  # the ablation's has the vision tower besides
    if settings.timing.ablation:
        result = result.model_copy(update={"ablation": _ablation(run, data)})
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
    validation = _validation_seconds(trainer, data.samples["val"])
    rates = operations.rates(trainer, [step.of_process for step in steps])

    seconds = [step.seconds for step in steps]
    # An epoch's last step may be a short one, so its windows count and not its steps.
    per_second = statistics.median(step.windows / step.seconds for step in steps)
    per_epoch = len(trainer.samples) / per_second + validation
    return TimingResult(
        experiment=run.experiment,
        run=run.run,
        device=device.type,
        device_name=device_name(device),
        threads=run.training.threads,
        processes=run.training.processes,
        precision=data.precision,
        cut=run.policy.cut,
        versions=versions(PACKAGES),
        warmup_steps=warmup,
        steps=count,
        seconds_per_step=StepSeconds(
            median=statistics.median(seconds), min=min(seconds), max=max(seconds)
        ),
        data_share=sum(step.waited for step in steps) / sum(seconds),
        steps_per_epoch=trainer.steps_per_epoch,
        windows_per_step=run.training.batch_size * run.training.accumulation,
        frames_per_step=statistics.fmean(step.of_process.frames for step in steps),
        windows_per_second=per_second,
        validation_seconds=validation,
        seconds_per_epoch=per_epoch,
        epochs=trainer.epochs,
        projected_seconds=per_epoch * trainer.total_steps / trainer.steps_per_epoch,
        load_average=load,
        contended=contended(load, min(seconds), max(seconds)),
        flops=rates.flops,
        matrix_rate=rates.matrix_rate,
        achieved_rate=rates.achieved_rate,
        share_of_matrix_rate=rates.achieved_rate / rates.matrix_rate,
        memory=_peak_memory(trainer, estimate, limit_gb),
        ablation=[],
    )


@dataclass(frozen=True)
class _TimedStep:
    """An optimiser step that was timed."""

    windows: int
    """Windows of all processes."""
    waited: float
    """Seconds that went into making the batches."""
    of_process: MeasuredStep

    @property
    def seconds(self) -> float:
        """Seconds of the whole step."""
        return self.of_process.seconds


def _time_steps(trainer: Trainer, warmup: int, count: int) -> list[_TimedStep]:
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
            share = sum(len(trainer.share(indices)) for indices in batches)
            of_process = MeasuredStep(source.frames, share, seconds)
            timed.append(_TimedStep(sum(map(len, batches)), source.seconds, of_process))
    trainer.samples = samples
    return timed


def _validation_seconds(trainer: Trainer, samples: Samples) -> float:
    started = time.perf_counter()
    trainer.validate(samples)
    synchronise(trainer.accelerator.device)
    return time.perf_counter() - started


def _peak_memory(trainer: Trainer, estimate: MemoryEstimate, limit_gb: float | None) -> PeakMemory:
    """Return the peak so far beside its estimate, and the size of the adapter."""
    adapter = trainer.policy.trained().get("adapter_model", {})
    return PeakMemory(
        measured=peak_memory(trainer.accelerator.device),
        estimate=estimate,
        limit_gb=limit_gb,
        adapter=sum(tensor.nbytes for tensor in adapter.values()),
    )


def _trainer(
    run: TrainSettings, data: RunData, steps: int | None = None, cut: Cut | None = None
) -> Trainer:
    """Return a trainer of the run, whose forward pass begins at a cut: by default its policy's."""
    policy = build_policy(run.policy, run.seed, data, cut=cut)
    return Trainer(policy, run.training, data.samples["train"], run.seed, data.precision, steps)


def _ablation(run: TrainSettings, data: RunData) -> list[VariantTime]:
    """Compare with the plain way of training, one change after another."""
    trainer = _trainer(run, data, cut="pixels")
    dataset, count = data.dataset, data.dataset.rows
    views = VIEWS if run.policy.mirror else VIEWS[:1]
    raw = [RawRows(dataset, run.images, view) for view in views]
    frames = [FrameRows(open_frames(dataset), view) for view in views]
    samples = copy.copy(data.samples["train"])
    samples.photometric = None  # what random changes of the pictures cost, all variants would pay
    variants = variants_of(
        samples,
        run.policy.cut,
        BothViews(raw[0], raw[-1], count),
        BothViews(frames[0], frames[-1], count),
        data.precision,
        trainer.accelerator.device,
    )
    return time_variants(trainer, variants)

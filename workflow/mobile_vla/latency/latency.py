"""Measure the time of a control step on this device, and the error, by number format."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mobile_vla.config.latency import LatencySettings
from mobile_vla.data.frames import open_frames
from mobile_vla.latency.result import ControlStepSeconds, LatencyResult, PrecisionLatency
from mobile_vla.layout import LatencyFiles
from mobile_vla.machine import contended, default_device, device_name, peak_memory, use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.streaming import Stream
from mobile_vla.runs.data import PolicyInputs, RunData, open_run
from mobile_vla.runs.policy import load_policy
from mobile_vla.runs.predict import predict

log = logging.getLogger(__name__)


def latency(
    settings: LatencySettings, inputs: PolicyInputs, outputs: LatencyFiles, *, threads: int
) -> None:
    """Time the control step of one robot, from the frame in memory to the chunk in memory.

    The robot sees the validation frames. The file holds times, and differs from run to run.

    Raises:
        UserError: the policy is not the one of these settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    # Frames in any case: a robot has no stored features.
    data = open_run(settings, replace(inputs, features=[]), settings.precision)
    device = default_device()
    formats = dict.fromkeys([data.precision, "fp32", resolve("auto", device)])  # without repeats
    measured: list[PrecisionLatency] = []
    for precision in formats:
        reference = measured[0].validation_mae if measured else None
        measured.append(_measure(inputs.policy, precision, data, settings, reference))
    load = os.getloadavg()[0]
    LatencyResult(
        experiment=settings.experiment,
        run=settings.run,
        device=device.type,
        device_name=device_name(device),
        threads=settings.threads,
        warmup_steps=settings.latency.warmup_steps,
        steps=settings.latency.steps,
        precisions=measured,
        load_average=load,
        contended=any(contended(load, one.seconds.p50, one.seconds.p99) for one in measured),
    ).write(outputs.latency)
    for one in measured:
        log.info(
            "%s in %s: a step takes %.2f ms (p99 %.2f ms), validation MAE %.4f",
            settings.title,
            one.precision,
            1000 * one.seconds.p50,
            1000 * one.seconds.p99,
            one.validation_mae,
        )


def _measure(
    path: Path, precision: str, data: RunData, settings: LatencySettings, reference: float | None
) -> PrecisionLatency:
    """Measure a number format; ``reference`` is the error that its error is compared with."""
    samples, device = data.samples["val"], default_device()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    policy = load_policy(path, settings.policy, data, run_in=precision)
    seconds = _step_seconds(policy, precision, data, settings)
    memory = peak_memory(device)
    label = f"{settings.title} in {precision}"
    predicted = predict(policy, samples, settings.latency.batch_size, precision, label, "pixels")
    errors = np.abs(predicted.astype(np.float64) - samples.commands[samples.table.targets])
    mae = float(errors[samples.table.mask].mean())
    p50, p95, p99 = (float(np.quantile(seconds, share)) for share in (0.5, 0.95, 0.99))
    return PrecisionLatency(
        precision=precision,
        seconds=ControlStepSeconds(
            p50=p50, p95=p95, p99=p99, min=float(seconds.min()), max=float(seconds.max())
        ),
        control_rate_hz=1 / p99,
        memory_bytes=memory,
        validation_mae=mae,
        mae_change=0.0 if reference is None else mae - reference,
    )


def _step_seconds(
    policy: Policy, precision: str, data: RunData, settings: LatencySettings
) -> np.ndarray:
    """Return the seconds of each measured step; the chunk's way to the CPU ends a step."""
    samples, frames = data.samples["val"], open_frames(data.dataset)
    rows = np.unique(samples.table.frames)
    stream = Stream(policy, [int(samples.prompt_of_row[rows[0]])], precision)
    seconds = []
    for number in range(settings.latency.warmup_steps + settings.latency.steps):
        frame = frames[rows[[number % len(rows)]]]  # (1, 224, 224, 3)
        started = time.perf_counter()
        stream.step(frame)
        if number >= settings.latency.warmup_steps:
            seconds.append(time.perf_counter() - started)
    return np.array(seconds)

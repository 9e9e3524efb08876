"""The plain way to train, and each thing that is done instead, one after another: a ladder.

All rungs train the same policy on the same windows, in turn within one process, so that a change of
the machine's load meets all of them alike; each is compared with the reference of its own round.
"""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from mobile_vla.backbone.kosmos2 import kept_in_float32
from mobile_vla.config.features import Cut
from mobile_vla.features.store import Rows
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import DTYPES, resolve
from mobile_vla.runs.samples import Samples
from mobile_vla.timing.flops import counted
from mobile_vla.timing.matrix_rate import synchronise
from mobile_vla.timing.reference import PerWindow
from mobile_vla.training.trainer import Source, Trainer

ROUNDS = 3  # steps of each rung that are timed; the median counts


@dataclass(frozen=True)
class Rung:
    """One way of doing the same step.

    Args:
        name: what it adds to the one before, or ``per window`` for the reference.
        source: where its batches come from.
        cut: where their features were taken.
        precision: resolved number format.
    """

    name: str
    source: Source
    cut: Cut
    precision: str


def rungs(
    samples: Samples, cut: Cut, raw: Rows, frames: Rows, precision: str, device: torch.device
) -> list[Rung]:
    """Return the ladder of an experiment.

    The reference decodes and resizes the raw images of each window, encodes each of its frames live
    and alone, and computes in float32. Then come frames that were decoded once, features that were
    stored (where the experiment has any), distinct frames encoded once a batch, and the number
    format (where the hardware has bf16, or the experiment another one).

    Args:
        samples: the training windows, with what the experiment reads of each frame.
        cut: where that was taken.
        raw: frames made anew of raw images at each call.
        frames: the frames.
        precision: the experiment's number format.
        device: where it is computed.
    """
    found = [
        Rung("per window", PerWindow(samples, raw), "pixels", "fp32"),
        Rung("frame cache", PerWindow(samples, frames), "pixels", "fp32"),
    ]
    if cut != "pixels":
        found.append(Rung("feature cache", PerWindow(samples, samples.rows), cut, "fp32"))
    found.append(Rung("distinct frames", samples, cut, "fp32"))
    fastest = resolve("auto", device) if precision == "fp32" else precision
    if fastest != "fp32":
        found.append(Rung(fastest, samples, cut, fastest))
    return found


def climb(
    trainer: Trainer, ladder: list[Rung], rounds: int = ROUNDS, epoch: int = 0
) -> list[dict[str, Any]]:
    """Time and count every rung on the same steps.

    The first round warms up, and counts the operations. An epoch's figures are those of the steps'
    windows, scaled to all windows.

    Args:
        trainer: a trainer of the experiment; its policy goes on training.
        ladder: the reference first.
        rounds: steps of each rung that are timed.
        epoch: which epoch's steps.

    Returns:
        For each rung ``name``, ``precision``, ``seconds_per_epoch`` (median), ``flops_per_epoch``,
        ``speedup`` (median of the rounds) and ``flops_ratio``, both relative to the reference.
    """
    before = trainer.samples, trainer.cut, trainer.precision
    try:
        seconds, flops = _climb(trainer, ladder, rounds, epoch)
    finally:
        _switch(trainer, *before)
    return [
        {
            "name": rung.name,
            "precision": rung.precision,
            "seconds_per_epoch": statistics.median(own),
            "flops_per_epoch": round(operations),
            "speedup": statistics.median(a / b for a, b in zip(seconds[0], own, strict=True)),
            "flops_ratio": flops[0] / operations if operations else None,
        }
        for rung, own, operations in zip(ladder, seconds, flops, strict=True)
    ]


def _climb(
    trainer: Trainer, ladder: list[Rung], rounds: int, epoch: int
) -> tuple[list[list[float]], list[float]]:
    """Return each rung's seconds an epoch, round by round, and its operations an epoch."""
    device = trainer.accelerator.device
    steps = list(itertools.islice(itertools.cycle(trainer.epoch(epoch)), rounds + 1))
    total = len(trainer.samples)
    seconds: list[list[float]] = [[] for _ in ladder]
    flops: list[float] = []
    for number, batches in enumerate(steps):
        share = total / sum(map(len, batches))
        run = partial(trainer.step, number, batches)
        for place, rung in enumerate(ladder):
            _switch(trainer, rung.source, rung.cut, rung.precision)
            if number == 0:
                flops.append(counted(run) * share)
                continue
            synchronise(device)
            started = time.perf_counter()
            run()
            synchronise(device)
            seconds[place].append((time.perf_counter() - started) * share)
    return seconds, flops


def _switch(trainer: Trainer, source: Source, cut: Cut | None, precision: str) -> None:
    """Let a trainer do its steps as a rung does."""
    trainer.samples, trainer.cut, trainer.precision = source, cut, precision
    hold(trainer.policy, precision)


def hold(policy: Policy, precision: str) -> None:
    """Hold the frozen matrices in another number format, in place, one after another.

    What was rounded stays so: a policy that was timed is good for nothing else.
    """
    for name, parameter in policy.encoder.backbone.named_parameters():
        if not parameter.requires_grad and not kept_in_float32(name):
            parameter.data = parameter.data.to(DTYPES[precision])

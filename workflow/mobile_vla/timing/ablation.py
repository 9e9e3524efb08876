"""The ablation of an epoch's time: the plain way of training, then one change after another."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass
from functools import partial

import torch

from mobile_vla.backbone.kosmos2 import kept_in_float32
from mobile_vla.config.features import Cut
from mobile_vla.features.store import Rows
from mobile_vla.model.precision import DTYPES, resolve
from mobile_vla.runs.samples import Samples
from mobile_vla.timing.flops import counted
from mobile_vla.timing.operations import synchronise
from mobile_vla.timing.reference import PerWindow
from mobile_vla.timing.result import VariantTime
from mobile_vla.training.trainer import Trainer

ROUNDS = 3  # steps of each variant that are timed; the median counts


@dataclass(frozen=True)
class Variant:
    """One way of doing the same step."""

    name: str  # what it adds to the one before, or `per window` for the reference
    source: Samples  # of its batches
    cut: Cut | None  # where their features were taken; None: the policy's own
    precision: str  # resolved number format
    stock: bool = False  # whether the last layer runs for all tokens


def variants_of(
    samples: Samples, cut: Cut, raw: Rows, frames: Rows, precision: str, device: torch.device
) -> list[Variant]:
    """Return the variants of an experiment, the reference first.

    The reference decodes and resizes the raw images of each window, encodes each of its frames live
    and alone, and computes in float32. Then come frames that were decoded once, features that were
    stored (where the experiment has any), distinct frames encoded once a batch, the last layer for
    the action token alone (where it is run), and the number format (where the hardware has bf16, or
    the experiment another one).
    """
    variants = [
        Variant("per window", PerWindow(samples, raw), "pixels", "fp32", stock=True),
        Variant("frame cache", PerWindow(samples, frames), "pixels", "fp32", stock=True),
    ]
    if cut != "pixels":
        stored = PerWindow(samples, samples.rows)
        variants.append(Variant("feature cache", stored, cut, "fp32", stock=True))
    variants.append(Variant("distinct frames", samples, cut, "fp32", stock=True))
    if cut != "readout":
        variants.append(Variant("last layer", samples, cut, "fp32"))
    fastest = resolve("auto", device) if precision == "fp32" else precision
    if fastest != "fp32":
        variants.append(Variant(fastest, samples, cut, fastest))
    return variants


def time_variants(
    trainer: Trainer, variants: list[Variant], rounds: int = ROUNDS
) -> list[VariantTime]:
    """Time and count every variant on the same steps; the policy goes on training.

    They take turns within one process, so that a change of the machine's load meets all of them
    alike; each is compared with the reference of its round. The first round warms up, and counts
    the operations. An epoch's figures are those of the steps' windows, scaled to all windows.
    """
    before = Variant("before", trainer.samples, trainer.cut, trainer.precision)
    try:
        seconds, flops = _measure(trainer, variants, rounds)
    finally:
        _switch(trainer, before)
    reference = seconds[0]
    return [
        VariantTime(
            name=variant.name,
            precision=variant.precision,
            seconds_per_epoch=statistics.median(taken),
            flops_per_epoch=round(operations),
            speedup=statistics.median(a / b for a, b in zip(reference, taken, strict=True)),
            flops_ratio=flops[0] / operations if operations else None,
        )
        for variant, taken, operations in zip(variants, seconds, flops, strict=True)
    ]


def _measure(
    trainer: Trainer, variants: list[Variant], rounds: int
) -> tuple[list[list[float]], list[float]]:
    """Return each variant's seconds an epoch, round by round, and its operations an epoch."""
    device = trainer.accelerator.device
    steps = list(itertools.islice(itertools.cycle(trainer.epoch_steps(0)), rounds + 1))
    total = trainer.samples.table.drawn_windows
    seconds: list[list[float]] = [[] for _ in variants]
    flops: list[float] = []
    for number, batches in enumerate(steps):
        scale = total / sum(map(len, batches))
        step = partial(trainer.step, number, batches)
        for place, variant in enumerate(variants):
            _switch(trainer, variant)
            if number == 0:
                flops.append(counted(step) * scale)
                continue
            synchronise(device)
            started = time.perf_counter()
            step()
            synchronise(device)
            seconds[place].append((time.perf_counter() - started) * scale)
    return seconds, flops


def _switch(trainer: Trainer, variant: Variant) -> None:
    """Make a trainer do its steps as a variant does."""
    trainer.samples, trainer.cut = variant.source, variant.cut
    trainer.precision, trainer.policy.encoder.stock = variant.precision, variant.stock
    # Matrices stay rounded when they are cast back: afterwards the policy is not used any more.
    for name, parameter in trainer.policy.encoder.backbone.named_parameters():
        if not parameter.requires_grad and not kept_in_float32(name):
            parameter.data = parameter.data.to(DTYPES[variant.precision])

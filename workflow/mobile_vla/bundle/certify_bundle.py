"""Certify a bundle: compare it with PyTorch, measure it, and say whether it does what it must."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobile_vla.bundle import runtime
from mobile_vla.bundle.closed_loop import roll_out_both
from mobile_vla.bundle.measuring import quantiles
from mobile_vla.bundle.opening import open_exported
from mobile_vla.bundle.parity import compare
from mobile_vla.bundle.quantisation import columns_without_scale
from mobile_vla.bundle.result import (
    BundleDescription,
    BundleOrigin,
    BundleRollouts,
    Certificate,
    InterleavedLatency,
    Parity,
    RobotCheck,
)
from mobile_vla.config.bundle import BundlePrecision, CertifySettings
from mobile_vla.data.frames import open_frames
from mobile_vla.errors import UserError
from mobile_vla.files import sha256_of, write_text
from mobile_vla.latency.result import ControlStepSeconds
from mobile_vla.layout import CertificateFiles
from mobile_vla.machine import contended, use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from mobile_vla.runs.data import PolicyInputs, RunData
from mobile_vla.runs.policy import open_policy

log = logging.getLogger(__name__)

FAILED = "FAILED.txt"
INT8_LIMIT = 0.02
"""Largest mean difference of an action in int8, as a share of the action scale."""


@dataclass(frozen=True, kw_only=True)
class CertifyInputs(PolicyInputs):
    """A bundle, and what it was made of."""

    bundle: Path  # `bundle.json`; the other files lie beside it


def certify_bundle(
    settings: CertifySettings, inputs: CertifyInputs, outputs: CertificateFiles, *, threads: int
) -> None:
    """Write a bundle's certificate, also where it fails; then `FAILED.txt` lies beside it.

    The file holds times, and differs from run to run.

    Raises:
        UserError: the policy is not the one of these settings, data or backbone, or a file of the
            bundle is not as it was written.
    """
    use_threads(settings.threads, threads, "training.threads")
    folder, title = inputs.bundle.parent, f"{settings.title} in {settings.bundle}"
    (folder / FAILED).unlink(missing_ok=True)
    try:
        described, digest = runtime.read_folder(folder)
        bundle = runtime.Bundle(folder, described, threads=settings.threads)
    except runtime.Refused as error:
        raise UserError(f"{error}; or remove it and run snakemake again") from None
    description = BundleDescription.read(inputs.bundle)
    data, policy, trained = open_exported(settings, inputs)
    origin = BundleOrigin(
        policy=sha256_of(inputs.policy), backbone=data.backbone.digest, data=data.trained_on
    )
    parity = compare(policy, bundle, data, settings.uncertainty, title)
    formats = {"fp32": policy}
    if trained.precision == "bf16":  # no CPU computes in fp16
        opened = (data.trained_on, trained.precision, data.backbone)
        formats["bf16"] = open_policy(inputs.policy, settings.policy, *opened).cpu()
    latency = _interleaved(settings, formats, bundle, data)
    alone, refused = _alone(folder, settings)
    rollouts = roll_out_both(settings, policy, data.backbone.processor(), bundle)
    limit = runtime.PARITY if settings.bundle == "fp32" else INT8_LIMIT * description.scale
    failures = [
        *_misfits(settings, description, origin),
        *_differences(settings, parity, limit),
        *([] if refused is None else [refused]),
        *coarse(folder, settings.bundle),
        *_losses(rollouts),
    ]
    Certificate(
        experiment=settings.experiment,
        run=settings.run,
        precision=settings.bundle,
        passed=not failures,
        failures=failures,
        bundle=digest,
        origin=origin,
        limit=limit,
        bytes=sum(file.size for file in description.files.values()),
        parity=parity,
        rollouts=rollouts,
        latency=latency,
        alone=alone,
    ).write(outputs.certificate)
    if failures:
        write_text(folder / FAILED, "".join(f"{failure}\n" for failure in failures))
        log.warning("%s: the bundle FAILED: %s", title, "; ".join(failures))
    else:
        log.info(
            "%s: certified; actions differ by %.2g at most and %.2g in the mean, a step takes "
            "%.2f ms",
            title,
            parity.max_difference,
            parity.mean_difference,
            1000 * latency.bundle.p50,
        )


def _interleaved(
    settings: CertifySettings,
    formats: Mapping[str, Policy],
    bundle: runtime.Bundle,
    data: RunData,
) -> InterleavedLatency:
    """Time a step of each in turn, from the frame in memory to the chunk in memory."""
    frames = open_frames(data.dataset)
    rows = np.unique(data.samples["val"].table.frames)
    prompt = int(data.samples["val"].prompt_of_row[rows[0]])
    torch = {name: Stream(one, [prompt], name) for name, one in formats.items()}
    stream = runtime.BundleStream(bundle, prompt)
    seconds: dict[str, list[float]] = {"bundle": [], **{name: [] for name in torch}}
    for number in range(settings.latency.warmup_steps + settings.latency.steps):
        frame = np.array(frames[rows[[number % len(rows)]]])  # (1, 224, 224, 3)
        begun = time.perf_counter()
        stream.step(frame[0])
        seconds["bundle"].append(time.perf_counter() - begun)
        for name, one in torch.items():
            begun = time.perf_counter()
            one.step(frame)
            seconds[name].append(time.perf_counter() - begun)
    measured = {
        name: ControlStepSeconds(**quantiles(np.array(one[settings.latency.warmup_steps :])))
        for name, one in seconds.items()
    }
    load, here = os.getloadavg()[0], measured.pop("bundle")
    return InterleavedLatency(
        threads=settings.threads,
        steps=settings.latency.steps,
        bundle=here,
        torch=measured,
        load_average=load,
        contended=any(contended(load, one.p50, one.p99) for one in (here, *measured.values())),
    )


def _alone(folder: Path, settings: CertifySettings) -> tuple[RobotCheck | None, str | None]:
    """Run the bundle's `run.py certify` in a process of its own.

    Returns:
        What it finds; or None, and why it refuses.
    """
    with tempfile.TemporaryDirectory() as place:
        found = Path(place, "check.json")
        options = ["--threads", settings.threads, "--steps", settings.latency.steps]
        command = [sys.executable, folder / "run.py", "certify", "--uncertified", *options]
        done = subprocess.run(
            [*map(str, command), "--output", str(found)],
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"run.py ends with {done.returncode}"]
            return None, lines[-1]
        return RobotCheck.read(found), None


def _misfits(
    settings: CertifySettings, description: BundleDescription, origin: BundleOrigin
) -> list[str]:
    """Return how a bundle's own words do not fit the policy that it is compared with."""
    own: Mapping[str, object] = dict(description.origin)
    failures = [
        f"bundle.json (origin.{name}): it was made of another one"
        for name, value in dict(origin).items()
        if own[name] != value
    ]
    if description.precision != settings.bundle:
        failures.append(f"bundle.json (precision): found {description.precision}")
    return failures


def _differences(settings: CertifySettings, parity: Parity, limit: float) -> list[str]:
    """Return what lies beyond the limits of parity."""
    found = {"mean": parity.mean_difference}
    if settings.bundle == "fp32":
        found = {"largest": parity.max_difference, "by prompt": parity.max_prompt_difference}
    return [
        f"actions differ from PyTorch's by {value:.3g} ({name}), expected at most {limit:.3g}"
        for name, value in found.items()
        if value > limit
    ]


def coarse(folder: Path, precision: BundlePrecision) -> list[str]:
    """Return whether a quantised bundle has fewer scales than it must."""
    names = columns_without_scale(folder / "encoder.onnx") if precision == "int8" else []
    if not names:
        return []
    return [f"{len(names)} matrices have no scale for each column, such as {names[0]}"]


def _losses(rollouts: BundleRollouts | None) -> list[str]:
    """Return whether a bundle is shown to succeed less often than it may."""
    if rollouts is None or not rollouts.difference.below(-rollouts.margin):
        return []
    lost = -rollouts.difference.mean
    return [f"in closed loop it succeeds less often than PyTorch, by {lost:.0%} of rollouts"]

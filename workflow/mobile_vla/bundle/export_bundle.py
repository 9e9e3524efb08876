"""Export a run's policy as a bundle: two ONNX graphs, and a program that needs no PyTorch."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from torch import nn

from mobile_vla.bundle.folder import describe, write_program
from mobile_vla.bundle.graphs import export_encoder, export_head, prompt_vectors
from mobile_vla.bundle.opening import open_exported
from mobile_vla.bundle.probe import make_probe, write_probe
from mobile_vla.bundle.result import BundleOrigin
from mobile_vla.bundle.runtime import FORMAT, PARITY
from mobile_vla.config.bundle import BundleSettings
from mobile_vla.config.ingest import Images
from mobile_vla.data.frames import open_frames
from mobile_vla.files import atomic_path, sha256_of
from mobile_vla.layout import BundleFiles
from mobile_vla.machine import use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.result import PolicyDescription
from mobile_vla.provenance.code import versions
from mobile_vla.runs.data import PolicyInputs, RunData

log = logging.getLogger(__name__)

EXPORTING = ("torch", "transformers", "peft", "onnx", "onnx-ir", "onnxscript", "pillow")


def export_bundle(
    settings: BundleSettings, inputs: PolicyInputs, outputs: BundleFiles, *, threads: int
) -> None:
    """Write a policy's bundle in fp32, on the CPU.

    Raises:
        UserError: the policy is not the one of these settings, data or backbone, or its prompts do
            not all begin alike.
    """
    use_threads(settings.threads, threads, "training.threads")
    data, policy, described = open_exported(settings, inputs)
    frames, prompt = probed(data, policy)
    images = Images(resize=described.images.resize, color=described.images.color)
    write_probe(make_probe(policy, frames, prompt, images), outputs.probe)
    start, vectors = prompt_vectors(policy.encoder)
    with atomic_path(outputs.prompts) as temporary:
        named = {f"prompt{row}": one.numpy() for row, one in enumerate(vectors)}
        np.savez(temporary, **named)  # type: ignore[arg-type]  # a prompt is no option of savez
    model: Any = policy.encoder.backbone
    if settings.policy.lora is not None:
        model = model.merge_and_unload()
    export_encoder(model, policy.encoder, start, vectors[0], outputs.encoder, outputs.weights)
    del model
    policy.encoder = nn.Identity()  # type: ignore[assignment]  # gigabytes that the head is without
    export_head(policy, start.shape[1], outputs.head)
    write_program(outputs)
    description = _description(settings, described, policy)
    origin = BundleOrigin(
        policy=sha256_of(inputs.policy), backbone=data.backbone.digest, data=described.data
    )
    bundle = describe(outputs, {**description, "origin": origin})
    size = sum(file.size for file in bundle.files.values())
    log.info("%s: bundle of %.3g MB in fp32", settings.title, size / 1e6)


def probed(data: RunData, policy: Policy) -> tuple[np.ndarray, int]:
    """Return W + 2 successive frames of the longest validation episode, or fewer, and its prompt.

    Returns:
        (N, 224, 224, 3) uint8 RGB, and the prompt's place in the policy's table.
    """
    dataset = data.dataset
    longest = max(data.roles.of["val"], key=lambda episode: dataset.lengths[episode])
    first = int(dataset.offsets[longest])
    count = min(int(dataset.lengths[longest]), policy.settings.window + 2)
    frames = open_frames(dataset)[np.arange(first, first + count)]
    return frames, int(data.samples["val"].prompt_of_row[first])


def _description(
    settings: BundleSettings, described: PolicyDescription, policy: Policy
) -> dict[str, Any]:
    first = 1 if described.windows.target == "next" else 0
    actions = described.settings.actions
    return {
        "format": FORMAT,
        "experiment": settings.experiment,
        "run": settings.run,
        "epoch": described.epoch,
        "precision": "fp32",
        "dimensions": list(actions.dimensions),
        "units": list(actions.units),
        "scale": actions.full,
        "window": described.settings.window,
        "ahead": list(range(first, first + described.settings.chunk)),
        "prompts": list(policy.texts),
        "images": described.images,
        "guard": described.guard,
        "tolerance": PARITY,
        "versions": versions(EXPORTING),
    }

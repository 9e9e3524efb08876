"""Make a bundle's int8 version of the one in fp32."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from mobile_vla.bundle.folder import describe, write_program
from mobile_vla.bundle.probe import write_probe
from mobile_vla.bundle.quantisation import quantise_encoder
from mobile_vla.bundle.result import BundleDescription
from mobile_vla.bundle.runtime import Bundle, Probe
from mobile_vla.config.bundle import QuantiseSettings
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_path
from mobile_vla.layout import BundleFiles
from mobile_vla.provenance.code import versions

log = logging.getLogger(__name__)

TOLERANCE = 0.02
"""How far an action may be from what int8 answers here, as a share of the action scale: rounding
to 8 bits amplifies the last bits of the rest, which differ between machines."""


@dataclass(frozen=True)
class QuantiseInputs:
    """What is quantised."""

    bundle: Path  # `bundle.json` in fp32; the other files lie beside it


def quantise_bundle(
    settings: QuantiseSettings, inputs: QuantiseInputs, outputs: BundleFiles
) -> None:
    """Write the bundle with matrix products in int8.

    Its probe holds what it answers here itself, so that the robot's answers can be compared
    closely; how far these are from PyTorch's is for the certificate.

    Raises:
        UserError: a file of the bundle in fp32 is not as it was written.
    """
    described = BundleDescription.read(inputs.bundle)
    if (described.experiment, described.run) != (settings.experiment, settings.run):
        raise UserError(
            f"{inputs.bundle}: the bundle of {described.experiment} {described.run}, expected that "
            f"of {settings.experiment} {settings.run}; remove it and run snakemake again"
        )
    whole = inputs.bundle.parent
    for name, digest in described.files.items():
        digest.verify(whole / name)
    count = quantise_encoder(
        whole / outputs.encoder.name, whole / outputs.weights.name, outputs.encoder, outputs.weights
    )
    for path in (outputs.head, outputs.prompts):
        with atomic_path(path) as temporary:
            shutil.copyfile(whole / path.name, temporary)
    write_program(outputs)
    values = described.model_dump(mode="json") | {
        "precision": "int8",
        "tolerance": TOLERANCE * described.scale,
        "versions": described.versions | versions(("numpy", "onnx", "onnxruntime")),
    }
    probe = Probe.read(whole)
    answers = probe.answers(Bundle(outputs.encoder.parent, values, threads=1))
    write_probe(replace(probe, actions=answers), outputs.probe)
    bundle = describe(outputs, values)
    size = sum(file.size for file in bundle.files.values())
    log.info(
        "%s %s: bundle of %.3g MB with %d matrix products in int8",
        settings.experiment,
        settings.run,
        size / 1e6,
        count,
    )

"""A tiny policy's bundles, made by the commands themselves, and faults to plant in a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from mobile_vla.bundle.certify_bundle import CertifyInputs, certify_bundle
from mobile_vla.bundle.export_bundle import export_bundle
from mobile_vla.bundle.quantise_bundle import QuantiseInputs, quantise_bundle
from mobile_vla.bundle.result import Certificate
from mobile_vla.config.bundle import (
    BundlePrecision,
    BundleSettings,
    CertifySettings,
    QuantiseSettings,
)
from mobile_vla.config.latency import Latency
from mobile_vla.config.rollout import Rollout
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.files import sha256_of
from mobile_vla.layout import BundleFiles, CertificateFiles
from mobile_vla.runs.data import PolicyInputs
from support.training_run import Inputs, run, settings_of

NAMES = {"experiment": "lora", "run": "seed0"}


@dataclass(frozen=True)
class Made:
    """A trained run and the folder of results that its bundles lie in."""

    results: Path
    inputs: PolicyInputs

    @classmethod
    def train(cls, folder: Path) -> Made:
        """Train a tiny policy on six episodes."""
        inputs = Inputs.make(folder)
        run(inputs, folder / "run", settings_of(epochs=2))
        read = inputs.of_policy(folder / "run/policy/policy.json", features=[])
        return cls(folder / "results", read)

    def files(self, precision: BundlePrecision) -> BundleFiles:
        """Return the files of a bundle."""
        return BundleFiles.below(self.results, **NAMES, precision=precision)

    def folder(self, precision: BundlePrecision) -> Path:
        """Return a bundle's folder."""
        return self.files(precision).description.parent

    def export(self) -> None:
        """Export the bundle in fp32."""
        settings = BundleSettings(**_trained())
        export_bundle(settings, self.inputs, self.files("fp32"), threads=1)

    def quantise(self) -> None:
        """Make the one in int8."""
        inputs = QuantiseInputs(self.files("fp32").description)
        quantise_bundle(QuantiseSettings(**NAMES), inputs, self.files("int8"))

    def certify(self, precision: BundlePrecision, folder: Path | None = None) -> Certificate:
        """Certify a bundle, by default the one that lies among the results."""
        folder = folder or self.folder(precision)
        settings = CertifySettings(
            **_trained(),
            bundle=precision,
            latency=Latency(warmup_steps=1, steps=20),
            worlds=(),
            rollout=Rollout(),
            uncertainty=Uncertainty(draws=1000),
        )
        inputs = CertifyInputs(**vars(self.inputs), bundle=folder / "bundle.json")
        written = folder / "certificate.json"
        certify_bundle(settings, inputs, CertificateFiles(written), threads=1)
        return Certificate.read(written)


def _trained() -> dict[str, Any]:
    trained = settings_of(epochs=2)
    names = ("experiment", "run", "seed", "windows", "policy")
    return {**{name: getattr(trained, name) for name in names}, "precision": "fp32", "threads": 1}


def copied(folder: Path, place: Path) -> Path:
    """Return a copy of a bundle's folder, to plant a fault in."""
    shutil.copytree(folder, place)
    return place


def described_anew(folder: Path, **changes: Any) -> None:
    """Write ``bundle.json`` as an exporter with the fault would have: with the right digests."""
    path = folder / "bundle.json"
    described = json.loads(path.read_text())
    for name, file in described["files"].items():
        file.update(sha256=sha256_of(folder / name), size=(folder / name).stat().st_size)
    path.write_text(json.dumps({**described, **changes}))


def flip_weight(folder: Path) -> None:
    """Flip a high bit of the exponent of a weight in an encoder's last matrix."""
    model = onnx.load(str(folder / "encoder.onnx"), load_external_data=False)
    tensors = {one.name: one for one in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    last = [tensors[node.input[1]] for node in products if node.input[1] in tensors][-1]
    first = {entry.key: entry.value for entry in last.external_data}["offset"]
    data = bytearray((folder / "encoder.data").read_bytes())
    data[int(first) + 3] ^= 1 << 6
    (folder / "encoder.data").write_bytes(bytes(data))


def change_tensor(graph: Path, part: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the tensor of a graph's file that has a text in its name."""
    model = onnx.load(str(graph), load_external_data=False)
    (tensor,) = [one for one in model.graph.initializer if part in one.name]
    name = tensor.name
    changed = change(numpy_helper.to_array(tensor)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(changed, name))
    graph.write_bytes(model.SerializeToString())


def change_prompts(folder: Path, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> None:
    """Change the vectors of the prompts."""
    with np.load(folder / "prompts.npz") as stored:
        vectors = change([stored[f"prompt{row}"] for row in range(len(stored.files))])
    np.savez(folder / "prompts.npz", **{f"prompt{row}": one for row, one in enumerate(vectors)})

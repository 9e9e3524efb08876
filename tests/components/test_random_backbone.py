"""Random backbones: written once, in the number format that is asked for."""

import os

import pytest
import torch
from safetensors.torch import load_file

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.files import read_json
from mobile_vla.result import FileDigest
from support.tiny import make_backbone


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_are_stored_in_the_precision_asked_for(tmp_path, precision):
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    description = make_backbone(tmp_path, precision=precision)
    stored = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {dtype}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in stored.values())
    assert torch.get_default_dtype() == torch.float32
    for name, file in read_json(description)["files"].items():
        assert FileDigest.of(tmp_path / name).model_dump() == file
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def _umask():
    value = os.umask(0)
    os.umask(value)
    return value


def test_a_bf16_backbone_is_whole_in_float32_where_that_is_asked_for(tmp_path):
    checkpoint = Checkpoint.read(make_backbone(tmp_path, precision="bf16"))
    model = checkpoint.model()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    positions = model.text_model.model.embed_positions
    assert positions.weights.dtype == torch.float32
    exact = positions.get_embedding(*positions.weights.shape, positions.padding_idx)
    assert torch.equal(positions.weights, exact)

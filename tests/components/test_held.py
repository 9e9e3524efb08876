"""Frozen matrices are held in the number format of the forward pass, and nothing else changes."""

import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.model.adapter import load_backbone
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from support.tiny import make_backbone

TEXTS = ("left", "on the right")
TEXT_ALONE = FullFinetune(vision=False, projection=False, text_embedding=False)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


def make_policy(backbone, precision, lora=None, full=None):
    settings = PolicySettings(
        window=2,
        chunk=2,
        finetune="lora" if lora else "full" if full else "none",
        lora=lora,
        full=full,
        head=Lstm(hidden_size=8),
        prompt=Prompt(),
        actions=Actions(),
    )
    model = load_backbone(backbone, settings, precision)
    return Policy(settings, model, backbone.processor(), TEXTS, seed=0)


KINDS = {
    "lora": {"lora": Lora(r=4)},
    "biases": {"lora": Lora(r=4, bias="all")},
    "none": {},
    "full": {"full": FullFinetune()},
    "text": {"full": TEXT_ALONE},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_trained_is_in_float32_and_frozen_matrices_are_not(backbone, kind):
    policy = make_policy(backbone, "bf16", **KINDS[kind])
    trained = {p.dtype for p in policy.parameters() if p.requires_grad}
    assert trained == {torch.float32}
    frozen = {
        name: p
        for name, p in policy.named_parameters()
        if not p.requires_grad
        and name.endswith(("_proj.weight", "fc1.weight", "base_layer.weight"))
    }
    assert all(p.dtype == torch.bfloat16 for p in frozen.values())
    assert bool(frozen) == (kind != "full")
    assert policy.encoder.action_token.dtype == torch.float32


@pytest.mark.parametrize("bias", ["none", "lora_only", "all"])
@pytest.mark.parametrize("layers", [None, 1])
def test_what_is_stored_is_what_is_trained_whatever_of_the_backbone_is_loaded(
    backbone, bias, layers
):
    settings = make_policy(backbone, "fp32", lora=Lora(r=4, bias=bias, layers=layers)).settings
    stored = {}
    for cut in ("pixels", "image_embeds", settings.cut):
        model = load_backbone(backbone, settings, "fp32", cut)
        policy = Policy(settings, model, backbone.processor(), TEXTS, seed=0)
        stored[cut] = policy.trained()
        policy.load_trained(stored["pixels"])
        trained = {
            name for name, one in policy.encoder.backbone.named_parameters() if one.requires_grad
        }
        kept = stored[cut]["adapter_model"]
        assert {name for name in kept if "lora_" not in name} == {
            name for name in trained if "lora_" not in name
        }
    assert len({frozenset(one["adapter_model"]) for one in stored.values()}) == 1


def gradients_of(policy):
    """Prediction and gradients on random frames, two prompts, under autocast, without dropout."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (4, 224, 224, 3), dtype=torch.uint8, generator=generator)
    prompts, windows = torch.tensor([0, 0, 1, 1]), torch.tensor([[0, 1], [2, 3]])
    policy.eval()
    with autocast("bf16", CPU):
        predicted = policy(frames, prompts, windows, "pixels")
    predicted.float().square().sum().backward()
    return predicted, {n: p.grad for n, p in policy.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", KINDS)
def test_holding_them_so_changes_no_bit(backbone, kind):
    held, plain = (make_policy(backbone, p, **KINDS[kind]) for p in ("bf16", "fp32"))
    generator = torch.Generator().manual_seed(0)
    for (name, one), other in zip(held.named_parameters(), plain.parameters(), strict=True):
        if "lora_" in name:  # a fresh adapter is zero, and would hide what it does
            values = torch.randn(one.shape, generator=generator) * 0.1
            one.data, other.data = values, values.clone()
    (one, ours), (other, theirs) = gradients_of(held), gradients_of(plain)
    assert torch.equal(one, other)
    assert ours.keys() == theirs.keys() and ours
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name

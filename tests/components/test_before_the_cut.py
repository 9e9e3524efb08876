"""What lies before the cut is not loaded, and the step behind it does not notice."""

from pathlib import Path

import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import modules_before
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.model.adapter import backbone_parameters, load_backbone
from mobile_vla.model.policy import Policy
from support.tiny import make_backbone

FEATURES = {"image_embeds": (3, 4, 32), "readout": (3, 32)}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder: Path = tmp_path_factory.mktemp("backbone")
    return Checkpoint.read(make_backbone(folder))


def policy_from(checkpoint: Checkpoint, finetune: str, cut: str) -> Policy:
    settings = PolicySettings(
        window=3,
        chunk=2,
        finetune=finetune,
        lora=Lora(r=2) if finetune == "lora" else None,
        full=None,
        head=Lstm(hidden_size=4),
        prompt=Prompt(),
        actions=Actions(),
    )
    model = load_backbone(checkpoint, settings, "fp32", cut)
    return Policy(settings, model, checkpoint.processor(), ("on the left",), 0)


@pytest.mark.parametrize(("finetune", "cut"), [("lora", "image_embeds"), ("none", "readout")])
def test_a_step_behind_the_cut_is_the_same_bit_for_bit(
    checkpoint: Checkpoint, finetune: str, cut: str
) -> None:
    features = torch.randn(FEATURES[cut], generator=torch.Generator().manual_seed(0))
    found = []
    for loaded in ("pixels", cut):
        policy = policy_from(checkpoint, finetune, loaded).train()
        torch.manual_seed(0)
        out = policy(features, torch.zeros(3, dtype=torch.long), torch.arange(3)[None])
        out.square().sum().backward()
        found.append((out, [p.grad for p in policy.parameters() if p.requires_grad]))
        trained = policy.trained()
    (whole, whole_grads), (part, part_grads) = found
    assert torch.equal(whole, part)
    assert len(whole_grads) == len(part_grads) > 4
    for one, other in zip(whole_grads, part_grads, strict=True):
        assert torch.equal(one, other) if one is not None else other is None
    policy_from(checkpoint, finetune, "pixels").load_trained(trained)  # nothing is missing


def test_nothing_of_what_lies_before_is_held(
    checkpoint: Checkpoint, recwarn: pytest.WarningsRecorder
) -> None:
    sizes = {}
    for finetune, cut in (("lora", "pixels"), ("lora", "image_embeds"), ("none", "readout")):
        model = policy_from(checkpoint, finetune, cut).encoder.base_model
        held = {name: p for name, p in model.named_parameters() if "lora_" not in name}
        before = tuple(modules_before(checkpoint.config(), cut))
        assert not [name for name in held if name.startswith(before)]
        sizes[cut] = sum(parameter.numel() for parameter in held.values())
    assert sizes["pixels"] == backbone_parameters(checkpoint.config())
    assert sizes["pixels"] > sizes["image_embeds"] > sizes["readout"]

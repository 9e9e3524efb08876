"""The one forward pass, and the folder that a policy is stored in."""

import json

import pytest
import torch
from peft import PeftModel

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import module_of
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.conventions import normalise
from mobile_vla.data.prompts import PromptTable
from mobile_vla.errors import Problems, UserError
from mobile_vla.model.policy import Policy
from support.tiny import make_backbone
from support.training_run import origin_of

TEXTS = ("left", "Navigate around the box on the right side and reach the target")
FINETUNES = ("lora", "full", "none")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


def make_policy(backbone, finetune="lora", seed=0, **head):
    settings = PolicySettings(
        window=3,
        chunk=2,
        finetune=finetune,
        lora=Lora(r=4) if finetune == "lora" else None,
        full=FullFinetune() if finetune == "full" else None,
        head=Lstm(hidden_size=16, **head),
        prompt=Prompt(),
        actions=Actions(),
    )
    policy = Policy(settings, backbone.model(), backbone.processor(), TEXTS, seed)
    with torch.no_grad():  # a fresh adapter is zero, and would hide what it does
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return policy.eval()


def frames(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 224, 224, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("finetune", FINETUNES)
def test_a_sample_predicts_the_same_alone_and_beside_a_longer_prompt(backbone, finetune):
    policy = make_policy(backbone, finetune)
    images = frames(6)
    windows = torch.tensor([[0, 1, 2], [3, 4, 5]])
    with torch.inference_mode():
        short = policy(images[:3], torch.zeros(3, dtype=torch.long), windows[:1], "pixels")
        mixed = policy(images, torch.tensor([0, 0, 0, 1, 1, 1]), windows, "pixels")
    torch.testing.assert_close(mixed[:1], short, rtol=1e-5, atol=1e-7)


def test_the_prompt_and_the_image_reach_the_prediction(backbone):
    policy = make_policy(backbone)
    window = torch.tensor([[0, 1, 2]])
    with torch.inference_mode():
        left = policy(frames(3), torch.zeros(3, dtype=torch.long), window, "pixels")
        right = policy(frames(3), torch.ones(3, dtype=torch.long), window, "pixels")
        other = policy(frames(3, seed=1), torch.zeros(3, dtype=torch.long), window, "pixels")
    assert (left - right).abs().max() > 1e-3
    assert (left - other).abs().max() > 1e-4


@pytest.mark.parametrize("finetune", ["lora", "none"])
def test_stored_features_give_the_live_prediction_exactly(backbone, finetune):
    policy = make_policy(backbone, finetune)
    images, prompts = frames(4), torch.tensor([0, 0, 1, 1])
    windows = torch.tensor([[0, 1, 1], [2, 3, 3]])
    with torch.inference_mode():
        live = policy(images, prompts, windows, "pixels")
        features = policy.encoder.image_embeds(images)
        if policy.settings.cut == "readout":
            features = policy.encoder.language(features, prompts)
        stored = policy(features, prompts, windows)
    assert torch.equal(live, stored)


def test_frames_shared_by_windows_are_encoded_once_with_the_same_result(backbone):
    policy = make_policy(backbone)
    images, prompts = frames(4), torch.zeros(4, dtype=torch.long)
    overlapping = torch.tensor([[0, 1, 2], [1, 2, 3]])
    with torch.inference_mode():
        shared = policy(images, prompts, overlapping, "pixels")
        apart = policy(
            images[[0, 1, 2, 1, 2, 3]],
            torch.zeros(6, dtype=torch.long),
            torch.arange(6).view(2, 3),
            "pixels",
        )
    torch.testing.assert_close(shared, apart, rtol=1e-5, atol=1e-7)


def test_training_mode_leaves_the_frozen_prefix_in_evaluation(backbone):
    policy = make_policy(backbone).train()
    model = policy.encoder.base_model
    assert not module_of(model, "vision").training
    assert not module_of(model, "projection").training
    assert module_of(model, "text").training and policy.head.training
    full = make_policy(backbone, "full").train().encoder.base_model
    assert module_of(full, "vision").training and module_of(full, "projection").training


@pytest.mark.parametrize("finetune", FINETUNES)
def test_a_stored_policy_predicts_the_same(backbone, finetune, tmp_path):
    policy = make_policy(backbone, finetune, mlp=(8,))
    if finetune == "full":
        with torch.no_grad():
            module_of(policy.encoder.base_model, "vision").model.post_layernorm.bias += 0.5
    stale = tmp_path / "policy" / "adapter_model.safetensors.old"
    stale.parent.mkdir()
    stale.write_text("of an earlier run")
    (tmp_path / "policy/README.md").write_text("the card of an earlier policy")
    policy.save_pretrained(tmp_path / "policy", backbone, origin_of(epoch=3))
    loaded = Policy.from_pretrained(tmp_path / "policy", backbone, "fp32")

    images, prompts = frames(3), torch.zeros(3, dtype=torch.long)
    window = torch.tensor([[0, 1, 2]])
    with torch.inference_mode():
        expected = policy(images, prompts, window, "pixels")
        assert torch.equal(loaded(images, prompts, window, "pixels"), expected)
    assert not stale.exists()
    described = json.loads((tmp_path / "policy/policy.json").read_text())
    assert described["epoch"] == 3
    listed = {*described["files"], "policy.json"}
    assert listed == {file.name for file in (tmp_path / "policy").iterdir()}


def test_the_adapter_loads_with_plain_peft(backbone, tmp_path):
    policy = make_policy(backbone)
    policy.save_pretrained(tmp_path, backbone, origin_of())
    plain = PeftModel.from_pretrained(backbone.model(), str(tmp_path)).eval()
    ours = dict(policy.encoder.backbone.named_parameters())
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, ours[name]), name
    assert plain.peft_config["default"].base_model_name_or_path == backbone.name


def test_a_damaged_policy_is_refused_by_name(backbone, tmp_path):
    make_policy(backbone).save_pretrained(tmp_path, backbone, origin_of())
    head = tmp_path / "head.safetensors"
    damaged = bytearray(head.read_bytes())
    damaged[-1] ^= 1
    head.write_bytes(damaged)
    with pytest.raises(UserError, match=r"head\.safetensors"):
        Policy.from_pretrained(tmp_path, backbone, "fp32")


def test_the_action_scale_is_inverted_exactly(backbone):
    raw = torch.tensor([0.0, 1.15, -1.15, 0.25])
    normalised = normalise(raw, 1.15)
    assert normalised[:3].tolist() == [0.0, 1.0, -1.0]
    assert torch.equal(make_policy(backbone).denormalise(normalised), raw)


def test_an_episode_can_bring_its_own_instruction():
    prompt = Prompt(template="{instruction} ({side})")
    values = [
        {"side": "left", "instruction": "빨간 컵까지"},
        {"side": "right", "instruction": "go"},
    ]
    table = PromptTable.of(prompt, values, ["a", "b"])
    assert [table.texts[i] for i in table.of_episode] == ["빨간 컵까지 (left)", "go (right)"]
    with pytest.raises(Problems, match="b: it has no language_instruction"):
        PromptTable.of(prompt, [values[0], {"side": "left", "instruction": None}], ["a", "b"])

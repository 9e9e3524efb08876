"""What is trained at full size, counted without taking the memory."""

import pytest
import torch
from transformers import Kosmos2Model

from mobile_vla.backbone.random_backbone import model_config
from mobile_vla.config.backbone import RandomBackbone
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.errors import UserError
from mobile_vla.model.adapter import expected_parts, prepare_backbone, trainable_parameters

BACKBONE = 1_664_485_376  # parameters of kosmos-2-patch14-224 without its output layer


def settings(finetune, **changes):
    return PolicySettings(
        window=4,
        chunk=10,
        finetune=finetune,
        lora=Lora(**changes) if finetune == "lora" else None,
        full=FullFinetune(**changes) if finetune == "full" else None,
        head=Lstm(),
        prompt=Prompt(),
        actions=Actions(),
    )


@pytest.fixture
def kosmos():
    with torch.device("meta"):
        return Kosmos2Model(model_config(RandomBackbone(weights="random")))


def test_full_size_backbone_has_the_published_number_of_parameters(kosmos):
    assert sum(parameter.numel() for parameter in kosmos.parameters()) == BACKBONE


def test_lora_r32_trains_the_language_models_attention_and_nothing_else(kosmos):
    adapted = prepare_backbone(kosmos, settings("lora", r=32))
    assert trainable_parameters(adapted) == {"adapter": 12_582_912}
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert not [name for name in trained if "vision" in name or "projection" in name]


def test_bias_all_frees_the_language_models_biases_only(kosmos):
    adapted = prepare_backbone(kosmos, settings("lora", r=4, bias="all"))
    assert set(trainable_parameters(adapted)) == {"adapter", "text"}
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad and "lora_" not in name:
            assert name.endswith("bias"), name
            assert "text_model" in name, name


@pytest.mark.parametrize("wrong", ["v_porj", "(", ".*", "dense"])
def test_a_target_that_no_layer_has_is_refused(kosmos, wrong):
    with pytest.raises(UserError, match=r"lora\.targets.*expected some of fc1, fc2, k_proj"):
        prepare_backbone(kosmos, settings("lora", targets=("q_proj", wrong)))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"vision": False},
        {"vision": False, "projection": False},
        {"vision": False, "projection": False, "text_embedding": False},
        {"text": False},
    ],
)
def test_full_fine_tuning_trains_the_declared_parts(kosmos, parts):
    declared = settings("full", **parts)
    prepare_backbone(kosmos, declared)
    trained = trainable_parameters(kosmos)
    assert set(trained) == expected_parts(declared) - {"head", "action_token"}
    if not parts:
        assert sum(trained.values()) == BACKBONE


@pytest.mark.parametrize(
    ("finetune", "parts", "cut"),
    [
        ("none", {}, "readout"),
        ("lora", {}, "image_embeds"),
        ("full", {}, "pixels"),
        ("full", {"vision": False}, "pixels"),
        ("full", {"vision": False, "projection": False}, "image_embeds"),
    ],
)
def test_the_cut_lies_before_the_first_trained_parameter(finetune, parts, cut):
    assert settings(finetune, **parts).cut == cut

"""Adapt a backbone: adapters, parts that are trained as a whole, or neither; count what trains."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.dropout import Dropout
from mobile_vla.backbone.kosmos2 import (
    PARTS,
    Part,
    adaptable_layers,
    before_adapters,
    build_model,
    leave_lower_layers_in_evaluation,
    lora_targets,
    module_of,
    part_of,
)
from mobile_vla.config.features import Cut
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.model.precision import DTYPES


def lora_config(lora: Lora, backbone: Any) -> LoraConfig:
    """Return PEFT's configuration; the targets are layers of the language model alone.

    ``backbone`` is the backbone's configuration.
    """
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        target_modules=lora_targets(lora.targets, backbone, lora.layers),
    )


def load_backbone(
    checkpoint: Checkpoint, settings: PolicySettings, precision: str, cut: Cut = "pixels"
) -> nn.Module:
    """Load a backbone as a policy needs it: what is trained in float32, the rest in ``precision``.

    What lies before the cut, where the forward pass will begin, is not loaded.
    """
    trained = _trained_parts(settings)
    return checkpoint.model(DTYPES[precision], trained, cut, settings.adapted_layers)


def _trained_parts(settings: PolicySettings) -> list[Part]:
    """Return the parts of the backbone that are trained as a whole."""
    full = settings.full
    return [part for part in PARTS if full is not None and getattr(full, part)]


def prepare_backbone(model: nn.Module, settings: PolicySettings) -> nn.Module:
    """Freeze a backbone, then put in adapters or free the parts that are trained.

    Returns:
        The model, which is changed in place; wrapped by PEFT with ``finetune: lora``.

    Raises:
        UserError: no layer has one of the names in ``lora.targets``.
    """
    model.requires_grad_(False)
    if settings.lora is not None:
        layers = adaptable_layers(model)
        unknown = [target for target in settings.lora.targets if target not in layers]
        if unknown:  # PEFT ignores them without a word
            raise UserError(
                f"config.yaml (lora.targets): the language model has no linear layer "
                f"{', '.join(map(repr, unknown))}; expected some of {', '.join(sorted(layers))}"
            )
        config: Any = model.config
        wrapped: Any = get_peft_model(model, lora_config(settings.lora, config))
        for name, parameter in wrapped.named_parameters():
            if before_adapters(config, name, settings.adapted_layers):
                parameter.requires_grad_(False)  # `bias: all` frees theirs too
        for layer in wrapped.modules():
            if isinstance(layer, LoraLayer):
                # Autocast brings the input and the adapter to one format. Cast up to the adapter's
                # before, each input would be kept in float32 for the backward pass, twice.
                layer.cast_input_dtype_enabled = False
                for name, dropout in list(layer.lora_dropout.items()):
                    if isinstance(dropout, nn.Dropout):
                        layer.lora_dropout[name] = Dropout(dropout.p)
        return wrapped
    if settings.full is not None:
        trained = _trained_parts(settings)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(part_of(name) in trained)
    return model


def leave_frozen_in_evaluation(model: nn.Module, settings: PolicySettings) -> None:
    """Switch a backbone's frozen prefix to evaluation, after all was switched to training.

    The projection's attention has dropout: a feature that was stored must equal a live one.
    """
    for part in ("vision", "projection"):
        if part not in _trained_parts(settings):
            module_of(model, part).eval()
    if settings.adapted_layers is not None:
        leave_lower_layers_in_evaluation(model, settings.adapted_layers)
    if settings.cut == "readout":
        model.eval()


def policy_part_of(name: str) -> str:
    """Return which part of a policy a parameter belongs to, by its full name."""
    if "lora_" in name:
        return "adapter"
    rest = "action_token" if name.endswith("action_token") else "head"
    return part_of(name) or rest


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Return how many parameters of each part are trained."""
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            counts[policy_part_of(name)] += parameter.numel()
    return dict(sorted(counts.items()))


def backbone_parameters(config: Any) -> int:
    """Return how many parameters a backbone of a configuration has, without adapters."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(config).parameters())


def expected_parts(settings: PolicySettings) -> set[str]:
    """Return the parts that an experiment declares as trained."""
    parts = {"head", *_trained_parts(settings)}
    if settings.learned_action_token:
        parts.add("action_token")
    if settings.lora is not None:
        parts |= {"adapter"} if settings.lora.bias == "none" else {"adapter", "text"}
    return parts

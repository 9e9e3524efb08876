"""What of the backbone is trained: adapters, whole parts, or nothing; and the count of each."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Cut
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.model.precision import DTYPES

PARTS = ("vision", "projection", "text", "text_embedding")
# Part of the names of each part's weights.
NAMES = {
    "vision": "vision_model",
    "projection": "image_to_text_projection",
    "text": "text_model",
    "text_embedding": "embed_tokens",
}


def lora_config(lora: Lora) -> LoraConfig:
    """Return PEFT's configuration.

    The targets are a pattern scoped to the language model: bare names such as ``q_proj`` would
    adapt the vision tower and the projection too.
    """
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        target_modules=rf"text_model\..*\.({'|'.join(map(re.escape, lora.targets))})",
    )


BEFORE: dict[Cut, tuple[str, ...]] = {
    "pixels": (),
    "image_embeds": ("vision_model", "image_to_text_projection"),
    "readout": ("vision_model", "image_to_text_projection", "text_model.model.layers"),
}
"""The backbone's modules that lie before each cut: whoever enters there has no use for them."""


def load_backbone(
    checkpoint: Checkpoint, settings: PolicySettings, precision: str, cut: Cut = "pixels"
) -> nn.Module:
    """Load a backbone as a policy needs it.

    Args:
        checkpoint: the backbone.
        settings: what of it is trained; those parts are loaded in float32.
        precision: resolved number format that the frozen matrices are held in.
        cut: where the forward pass will begin; what lies before it is not loaded.
    """
    full = settings.full
    trained = [NAMES[part] for part in PARTS if full is not None and getattr(full, part)]
    return checkpoint.model(DTYPES[precision], float32=trained, without=BEFORE[cut])


def prepare_backbone(kosmos: nn.Module, settings: PolicySettings) -> nn.Module:
    """Freeze a backbone, then put in adapters or free the parts that are trained.

    Args:
        kosmos: a ``Kosmos2Model``; it is changed in place.

    Returns:
        The model, wrapped by PEFT with ``finetune: lora``.

    Raises:
        UserError: no layer has one of the names in ``lora.targets``.
    """
    kosmos.requires_grad_(False)
    if settings.lora is not None:
        _check_targets(kosmos, settings.lora)
        wrapped: Any = get_peft_model(kosmos, lora_config(settings.lora))
        for name, parameter in wrapped.named_parameters():
            if part_of(name) in ("vision", "projection"):
                parameter.requires_grad_(False)  # `bias: all` frees theirs too
        for layer in wrapped.modules():
            if isinstance(layer, LoraLayer):
                # Autocast brings the input and the adapter to one format. Cast up to the adapter's
                # before, each input would be kept in float32 for the backward pass, twice.
                layer.cast_input_dtype_enabled = False
        return wrapped
    if settings.full is not None:
        trained = {part for part in PARTS if getattr(settings.full, part)}
        for name, parameter in kosmos.named_parameters():
            parameter.requires_grad_(part_of(name) in trained)
    return kosmos


def _check_targets(kosmos: nn.Module, lora: Lora) -> None:
    """Refuse a name that no layer has: PEFT adapts what it finds and says nothing of the rest."""
    layers = {
        name.rpartition(".")[2]
        for name, module in kosmos.named_modules()
        if name.startswith("text_model.") and isinstance(module, nn.Linear)
    }
    unknown = [target for target in lora.targets if target not in layers]
    if unknown:
        raise UserError(
            f"config.yaml (lora.targets): the language model has no linear layer "
            f"{', '.join(map(repr, unknown))}; expected some of {', '.join(sorted(layers))}"
        )


def part_of(name: str) -> str:
    """Return which part of a policy a parameter belongs to, by its full name."""
    if "lora_" in name:
        return "adapter"
    if "vision_model." in name:
        return "vision"
    if "image_to_text_projection." in name:
        return "projection"
    if ".embed_tokens." in name:
        return "text_embedding"
    if "text_model." in name:
        return "text"
    return "action_token" if name.endswith("action_token") else "head"


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Return how many parameters of each part are trained."""
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            counts[part_of(name)] += parameter.numel()
    return dict(sorted(counts.items()))


def expected_parts(settings: PolicySettings) -> set[str]:
    """Return the parts that an experiment declares as trained."""
    parts = {"head"}
    if settings.learned_action_token:
        parts.add("action_token")
    if settings.lora is not None:
        parts.add("adapter")
        if settings.lora.bias != "none":
            parts.add("text")
    if settings.full is not None:
        parts |= {part for part in PARTS if getattr(settings.full, part)}
    return parts

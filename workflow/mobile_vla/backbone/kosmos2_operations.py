"""How Kosmos-2 uses its matrices, from which the operations of a step are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mobile_vla.backbone.kosmos2 import Part, layer_of, layers_below, part_of

NOT_CHECKPOINTED: frozenset[str] = frozenset({"projection"})
"""Parts that gradient checkpointing does not run again: they are no stack of layers."""


@dataclass(frozen=True)
class MatrixUse:
    """How a weight matrix is applied to a frame and its prompt."""

    tokens: int
    """How many tokens it is applied to."""
    first: bool
    """Whether it is its part's first: its input has a gradient only if an earlier part trains."""
    last: bool
    """Whether checkpointing does not compute it again: its layer's backward pass does not read its
    output, or its layer is not checkpointed."""
    below: bool = False
    """Whether it lies below the adapted layers of the language model."""


def use_of_matrix(config: Any, name: str, tokens: int, layers: int | None = None) -> MatrixUse:
    """Return how a matrix is applied, by its module's name, that of an adapter included.

    ``tokens`` is S, length of the prompt with image and action token, and ``layers`` how many
    layers of the language model are adapted where the states below are frozen.
    """
    part, patches, latents = part_of(name), _patches(config), config.latent_query_num
    # a feed-forward layer ends with its second product, unless dropout behind it asks for that
    last = name.endswith("fc2") and (part == "vision" or not config.text_config.dropout)
    if "patch_embedding" in name:
        return MatrixUse(patches, first=True, last=last)
    if part == "projection":
        if "dense" in name:
            return MatrixUse(patches + 1, first=True, last=last)
        memory = name.endswith(("k_proj", "v_proj"))
        return MatrixUse(patches + 1 + latents if memory else latents, first=False, last=last)
    if part == "vision":
        return MatrixUse(patches + 1, first=False, last=last)
    layer, below = layer_of(name), layers_below(config, layers)
    entered = re.search(r"\.[qkv]_proj\b(?!.*lora_B)", name) is not None  # by the states below
    first = layers is not None and layer == below and entered
    if layer == config.text_config.layers - 1:
        of_all = re.search(r"\.[kv]_proj\b", name) is not None
        return MatrixUse(tokens if of_all else 1, first=first, last=True)
    return MatrixUse(tokens, first=first, last=last, below=layer in range(below))


def attention_operations(config: Any, tokens: int) -> dict[Part, int]:
    """Return the operations of each part's attention scores and sums, of a frame's forward pass.

    Each of the two products takes two operations for each query, key and unit of width. ``tokens``
    is S of the language model, with image and action token; its last layer has a single query.
    """
    vision, text = config.vision_config, config.text_config
    patches, latents = _patches(config), config.latent_query_num
    return {
        "vision": 4 * (patches + 1) ** 2 * vision.hidden_size * vision.num_hidden_layers,
        "projection": 4 * latents * (patches + 1 + latents) * text.embed_dim,
        "text": 4 * tokens * (tokens * (text.layers - 1) + 1) * text.embed_dim,
    }


def _patches(config: Any) -> int:
    vision = config.vision_config
    patches: int = (vision.image_size // vision.patch_size) ** 2
    return patches

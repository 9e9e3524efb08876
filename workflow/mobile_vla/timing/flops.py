"""Floating-point operations of a step: counted while it runs, and from a formula.

Both count the matrix products, two operations for each multiplication and addition, and leave out
what is a per cent of them or less: norms, activations, softmax, dropout, table look-ups, the loss,
and the optimiser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from mobile_vla.config.features import Cut
from mobile_vla.config.model import PolicySettings
from mobile_vla.model.adapter import part_of

aten = torch.ops.aten

# Gradients of queries, keys and values take four products of the two of the forward pass, and
# computing the scores again a fifth (Dao et al. 2022, arXiv:2205.14135, algorithm 4).
ATTENTION_BACKWARD = 2.5


def counted(run: Callable[[], object]) -> int:
    """Return the operations of whatever a function computes."""
    with FlopCounterMode(display=False, custom_mapping=KERNELS) as counter:
        run()
    return counter.get_total_flops()


@dataclass(frozen=True)
class Flops:
    """Operations of a training step, by what they are proportional to."""

    frame: int
    """Of each distinct frame, forward and backward, through what lies behind the cut."""
    window: int
    """Of each window, through the head."""

    def step(self, frames: int, windows: int) -> int:
        """Return the operations of a step."""
        return self.frame * frames + self.window * windows


def formula(
    layers: nn.ModuleDict,
    config: Any,
    settings: PolicySettings,
    *,
    cut: Cut,
    tokens: int,
    checkpointing: bool = False,
) -> Flops:
    """Return the operations of a training step from the sizes of its matrices.

    A token costs 2 operations a weight forward, 2 for the gradient of the activations where
    anything trained lies before or in the layer, and 2 for the gradient of a weight that is
    trained: 2N, 4N with adapters, 6N where all is trained (Kaplan et al. 2020, arXiv:2001.08361,
    section 2.1). Attention adds 4·S²·D a layer forward and 2.5 times that backward. With gradient
    checkpointing the layers run forward once more.

    Args:
        layers: what :func:`mobile_vla.model.meta.skeleton` returned.
        config: the backbone's ``Kosmos2Config``.
        settings: the policy's settings.
        cut: where the features that the step reads were taken.
        tokens: S, length of the prompt with image and action token.
        checkpointing: whether activations are computed again for the backward pass.
    """
    vision, text = config.vision_config, config.text_config
    patches = (vision.image_size // vision.patch_size) ** 2
    latents = config.latent_query_num
    full = settings.full
    in_vision = full is not None and full.vision
    in_projection = full is not None and full.projection
    flows = {"vision": in_vision, "projection": in_vision or in_projection}
    flows["text"] = flows["adapter"] = settings.cut != "readout"

    def length(name: str) -> int:
        """How many tokens of a frame a matrix is applied to."""
        if "patch_embedding" in name:
            return patches
        if "image_to_text_projection" in name:
            if "dense" in name:
                return patches + 1
            memory = name.endswith(("k_proj", "v_proj"))
            return patches + 1 + latents if memory else latents
        return patches + 1 if "vision_model" in name else tokens

    def repeated(part: str) -> bool:
        """Whether a part's layers run forward once more in the backward pass."""
        return checkpointing and flows[part] and part != "projection"

    frame = 0.0
    for name, module in layers["backbone"].named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        part = part_of(name + ".weight")
        if not _runs(part, cut):
            continue
        forward = 2 * module.weight.numel() * length(name)
        # nothing lies before it that has a gradient
        first = "patch_embedding" in name or ("dense" in name and not in_vision)
        # a layer's last product is not computed again, unless dropout behind it asks for it
        last = name.endswith("fc2") and (part == "vision" or not text.dropout)
        again = repeated(part) and not (first or last)
        passes = 1 + again + (flows[part] and not first) + module.weight.requires_grad
        frame += forward * passes
    attention = {
        "vision": 4 * (patches + 1) ** 2 * vision.hidden_size * vision.num_hidden_layers,
        "projection": 4 * latents * (patches + 1 + latents) * text.embed_dim,
        "text": 4 * tokens**2 * text.embed_dim * text.layers,
    }
    for part, forward in attention.items():
        if _runs(part, cut):
            frame += forward * (1 + repeated(part) + ATTENTION_BACKWARD * flows[part])

    matrices = {n: p.numel() for n, p in layers["head"].named_parameters() if "weight" in n}
    # the LSTM runs over the window's frames, the layers behind it once
    runs = {name: settings.window if name.startswith("lstm") else 1 for name in matrices}
    window = 3 * 2 * sum(count * runs[name] for name, count in matrices.items())
    return Flops(frame=round(frame), window=window)


def _runs(part: str, cut: Cut) -> bool:
    """Whether a part of the backbone lies behind a cut."""
    return cut == "pixels" or (cut == "image_embeds" and part in ("text", "adapter"))


# What PyTorch's counter does not know. Its arguments are the tensors' shapes.
def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


def _rnn_layer(inputs: Any, w_input: Any, w_hidden: Any, *_: Any, **__: Any) -> int:
    """An LSTM layer over (T, B, D) with weights (4H, D) and (4H, H)."""
    steps, batch, _width = inputs
    weights = w_input[0] * w_input[1] + w_hidden[0] * w_hidden[1]
    return int(2 * steps * batch * weights)


def _rnn_layer_backward(*shapes: Any, **named: Any) -> int:
    return 2 * _rnn_layer(*shapes, **named)


def _lstm(inputs: Any, _state: Any, parameters: Any, *_: Any, **__: Any) -> int:
    """All layers at once over (B, T, D) or (T, B, D), as without gradients."""
    matrices = sum(shape[0] * shape[1] for shape in parameters if len(shape) == 2)
    return int(2 * inputs[0] * inputs[1] * matrices)


def _cudnn_rnn(inputs: Any, weights: Any, *_: Any, **__: Any) -> int:
    return _lstm(inputs, None, weights)


def _cudnn_rnn_backward(inputs: Any, weights: Any, *_: Any, **__: Any) -> int:
    return 2 * _lstm(inputs, None, weights)


KERNELS: dict[Any, Any] = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten.mkldnn_rnn_layer: _rnn_layer,
    aten.mkldnn_rnn_layer_backward: _rnn_layer_backward,
    aten.lstm: _lstm,
    aten._cudnn_rnn: _cudnn_rnn,
    aten._cudnn_rnn_backward: _cudnn_rnn_backward,
}

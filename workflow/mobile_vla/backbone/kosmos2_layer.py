"""A layer of Kosmos-2's language model, which computes what ``Kosmos2TextBlock`` does with less.

In float32 the result has the same bits. Under autocast to half precision the outputs of norms are
rounded once, where the stock layer keeps them in float32, draws their dropout there, and rounds
them again for each product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mobile_vla.backbone.dropout import attend, drop


def run_layer(layer: Any, states: Tensor) -> Tensor:
    """Run a layer; without a mask its attention is causal.

    Args:
        layer: a ``Kosmos2TextBlock``, with adapters in it or not.
        states: (N, S, D).

    Returns:
        (N, S, D).
    """
    if layer.gradient_checkpointing and layer.training:
        computed: Tensor = checkpoint(_compute, layer, states, use_reentrant=False)
        return computed
    return _compute(layer, states)


def run_layer_at(layer: Any, states: Tensor, at: Tensor) -> Tensor:
    """Run a layer for one token of each prompt, which reads those up to it.

    The others' query, output and feed-forward states are nobody's input behind the last layer.

    Args:
        layer: a ``Kosmos2TextBlock``, with adapters in it or not.
        states: (N, S, D).
        at: (N,) position of the token.

    Returns:
        (N, D) its states.
    """
    return _compute(layer, states, at)[:, 0]


def _compute(layer: Any, states: Tensor, at: Tensor | None = None) -> Tensor:
    attention, feed_forward = layer.self_attn, layer.ffn
    normed = _normalise(layer.self_attn_layer_norm, states)
    asking, mask = normed, None
    if at is not None:
        row = torch.arange(len(states), device=states.device)
        states, asking = states[row, at][:, None], normed[row, at][:, None]  # (N, 1, D)
        behind = torch.arange(normed.shape[1], device=states.device) > at[:, None]  # (N, S)
        mask = torch.zeros_like(behind, dtype=normed.dtype).masked_fill(behind, -torch.inf)
        mask = mask[:, None, None]

    def heads(projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    def dropped(values: Tensor, p: float) -> Tensor:
        return drop(values, p) if layer.training else values

    attended, _ = attend(
        attention,
        heads(attention.q_proj(asking)),  # (N, heads, S or 1, d)
        heads(attention.k_proj(normed)),
        heads(attention.v_proj(normed)),
        mask,
        attention.dropout if layer.training else 0.0,
        scaling=attention.scaling,
    )
    joined = attention.out_proj(_normalise(attention.inner_attn_ln, attended.flatten(2)))
    states = states + dropped(joined, layer.dropout)
    wide = feed_forward.fc1(_normalise(layer.final_layer_norm, states))
    wide = dropped(feed_forward.activation_fn(wide), feed_forward.activation_dropout)
    narrow = feed_forward.fc2(_normalise(feed_forward.ffn_layernorm, wide))
    return states + dropped(narrow, feed_forward.dropout)


def _normalise(norm: nn.LayerNorm, values: Tensor) -> Tensor:
    """Normalise in float32, and round to the format of the products that follow."""
    device = values.device.type
    if not torch.is_autocast_enabled(device):
        normed: Tensor = norm(values)
        return normed
    with torch.autocast(device, enabled=False):
        if device != "cpu":  # a GPU's kernel takes no half precision beside weights in float32
            values = values.float()
        normed = functional.layer_norm(
            values, norm.normalized_shape, norm.weight, norm.bias, norm.eps
        )
    return normed.to(torch.get_autocast_dtype(device))

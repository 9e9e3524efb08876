"""Count the floating-point operations of a step's matrix products, 2 a multiply-add, in two ways.

What is left out (norms, activations, softmax, loss, optimiser …) is a per cent of them or less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from mobile_vla.backbone.kosmos2 import layers_below, sizes_of
from mobile_vla.backbone.kosmos2_operations import (
    NOT_CHECKPOINTED,
    attention_operations,
    use_of_matrix,
)
from mobile_vla.config.features import Cut
from mobile_vla.config.model import PolicySettings
from mobile_vla.model.adapter import policy_part_of
from mobile_vla.model.heads.head import ActionHead

aten = torch.ops.aten

# Gradients of queries, keys and values take four products of the two of the forward pass, and
# computing the scores again a fifth (Dao et al. 2022, arXiv:2205.14135, algorithm 4).
ATTENTION_BACKWARD = 2.5


def counted(run: Callable[[], object]) -> int:
    """Return the operations that a function computes."""
    with FlopCounterMode(display=False, custom_mapping=KERNELS) as counter:
        run()
    return counter.get_total_flops()


@dataclass(frozen=True)
class Flops:
    """Operations of a training step: a frame's and a window's, which add up."""

    frame: int  # of each distinct frame, forward and backward, behind the cut
    window: int  # of each window, through the head

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
    every_frame: bool = False,
) -> Flops:
    """Return the operations of a training step from the sizes of its matrices.

    A token costs 2 operations a weight forward, 2 for the gradient of the activations where
    anything trained lies before or in the layer, and 2 for the gradient of a weight that is
    trained: 2N, 4N with adapters, 6N where all is trained (Kaplan et al. 2020, arXiv:2001.08361,
    section 2.1). Attention adds 4·S²·D a layer forward and 2.5 times that backward. With gradient
    checkpointing the layers run forward once more.

    Args:
        layers: what :func:`mobile_vla.model.policy.skeleton` returned.
        tokens: S, length of the prompt with image and action token.
        every_frame: whether a chunk is predicted at each frame of a window.
    """
    full = settings.full
    in_vision = full is not None and full.vision
    in_projection = full is not None and full.projection
    flows = {"vision": in_vision, "projection": in_vision or in_projection}
    flows["text"] = flows["adapter"] = settings.cut != "readout"
    # the first matrix of a part
    flows_into = {"vision": False, "projection": in_vision, "text": False, "adapter": False}
    adapted = settings.adapted_layers

    def repeated(part: str) -> bool:
        """Return whether a part's layers run forward once more in the backward pass."""
        return checkpointing and flows[part] and part not in NOT_CHECKPOINTED

    frame = 0.0
    for name, module in layers["backbone"].named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        part = policy_part_of(name + ".weight")
        if not _runs(part, cut):
            continue
        use = use_of_matrix(config, name, tokens, adapted)
        if use.below and cut == "hidden_states":
            continue
        forward = 2 * module.weight.numel() * use.tokens
        without_gradient = use.below or (use.first and not flows_into[part])
        in_stack = not (use.below or (use.first and part == "vision"))
        again = repeated(part) and in_stack and not use.last
        backward = flows[part] and not without_gradient
        frame += forward * (1 + again + backward + module.weight.requires_grad)
    for part, forward in attention_operations(config, tokens).items():
        if _runs(part, cut):
            # the last layer has a single query
            whole = sizes_of(config).layers - 1 + 1 / tokens
            below = layers_below(config, adapted) / whole if part == "text" else 0
            run = 1 - below * (cut == "hidden_states")
            gradient = repeated(part) + ATTENTION_BACKWARD * flows[part]
            frame += forward * (run + gradient * (1 - below))
    # all of the head is trained: backward costs twice what forward does
    head, observed = cast(ActionHead, layers["head"]), settings.window
    window = 3 * head.operations(observed, observed if every_frame else 1)
    if settings.cut == "readout":
        window -= head.input_operations(observed)
    return Flops(frame=round(frame), window=window)


def _runs(part: str, cut: Cut) -> bool:
    """Return whether a part of the backbone lies behind a cut."""
    return cut == "pixels" or (cut != "readout" and part in ("text", "adapter"))


# What PyTorch's counter does not know. Its arguments are the tensors' shapes.
def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


def _rnn_layer(inputs: Any, w_input: Any, w_hidden: Any, *_: Any, **__: Any) -> int:
    """Count an LSTM layer over (T, B, D) with weights (4H, D) and (4H, H)."""
    steps, batch, _width = inputs
    weights = w_input[0] * w_input[1] + w_hidden[0] * w_hidden[1]
    return int(2 * steps * batch * weights)


def _rnn_layer_backward(*shapes: Any, **named: Any) -> int:
    return 2 * _rnn_layer(*shapes, **named)


def _lstm(inputs: Any, _state: Any, parameters: Any, *_: Any, **__: Any) -> int:
    """Count all LSTM layers at once over (B, T, D) or (T, B, D), as without gradients."""
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

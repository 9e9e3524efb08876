"""Dropout whose random numbers cost a CPU less than PyTorch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, library, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

_STEPS = 1 << 16  # a probability is a whole number of these: each element has 16 random bits


# An operator, so that the memory of a step can be estimated on tensors without content.
_OPERATORS = library.Library("mobile_vla", "DEF")
_OPERATORS.define("draw_bits(Tensor like) -> Tensor")


@library.impl(_OPERATORS, "draw_bits", "CPU")
def _draw_bits(like: Tensor) -> Tensor:
    """Return 16 random bits for each element, as int16.

    They come from SFC64 (Doty-Humphrey's PractRand), the fastest of NumPy's generators. PyTorch's
    generator seeds it at each call: so ``torch.manual_seed``, and the state that gradient
    checkpointing restores, decide here too.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    draws = np.random.SFC64(seed).random_raw(-(-like.numel() // 4)).view(np.int16)
    return torch.from_numpy(draws)[: like.numel()].view(like.shape)


@library.impl(_OPERATORS, "draw_bits", "Meta")
def _draw_nothing(like: Tensor) -> Tensor:
    return torch.empty_like(like, dtype=torch.int16)


class Dropout(nn.Dropout):
    """:func:`drop` as a layer."""

    def forward(self, values: Tensor) -> Tensor:
        """Drop elements in training; return the values themselves in evaluation."""
        return drop(values, self.p) if self.training else values


def drop(values: Tensor, p: float) -> Tensor:
    """Set elements to zero with a probability, and divide the others by that of keeping them.

    On a CPU PyTorch draws a number of its generator for each element, which took a quarter of a
    step. Here a draw of 64 bits serves four elements, and the probability is rounded to a multiple
    of 1/65,536: 0.1 is 6,554 of them, 0.100006. Elsewhere this is
    ``torch.nn.functional.dropout``.

    Args:
        values: of any shape.
        p: probability of zero, in [0, 1).
    """
    if not p or values.device.type != "cpu":
        return functional.dropout(values, p)
    zeros = min(round(p * _STEPS), _STEPS - 1)
    # A mask in the values' format: a product with booleans converts them first, in both passes.
    mask = torch.empty_like(values, requires_grad=False)
    torch.ge(torch.ops.mobile_vla.draw_bits(mask), zeros - _STEPS // 2, out=mask)
    return values * mask.mul_(_STEPS / (_STEPS - zeros))


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    *,
    scaling: float,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers' functions do: PyTorch's, but for dropout on a CPU.

    There PyTorch has no kernel with dropout, and what stands in for one takes longer than this.

    Args:
        module: the attention layer.
        query: (N, heads, Q, d).
        key: (N, heads, S, d), as values are.
        attention_mask: added to the scores, (N, 1, Q, S); None: causal, if the layer is.
        dropout: probability that a weight is dropped.
        scaling: factor of the scores.

    Returns:
        (N, Q, heads, d), and no weights.
    """
    if not dropout or query.device.type != "cpu":
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling=scaling, **others
        )
    scores = (query * scaling) @ key.transpose(-1, -2)
    if attention_mask is not None:
        scores = scores + attention_mask
    elif module.is_causal:
        scores = scores + torch.full(scores.shape[-2:], -torch.inf).triu(1)
    weights = drop(scores.softmax(dim=-1), dropout)
    return (weights @ value).transpose(1, 2).contiguous(), None


ATTENTION = "sdpa_or_cheap_dropout"
"""The name of :func:`attend` for ``attn_implementation``."""
AttentionInterface.register(ATTENTION, attend)

"""Dropout whose random numbers cost a CPU less than PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

_STEPS = 1 << 16  # a probability is a whole number of these: each element has 16 random bits


class Dropout(nn.Dropout):
    """:func:`drop` as a layer."""

    def forward(self, values: Tensor) -> Tensor:
        """Drop elements in training; return the values themselves in evaluation."""
        return drop(values, self.p) if self.training else values


def drop(values: Tensor, p: float) -> Tensor:
    """Set elements to zero with a probability, and divide the others by that of keeping them.

    On a CPU PyTorch draws a number of its generator for each element, which took a quarter of a
    step. Here a draw of 64 bits serves four elements, and the probability is rounded to a multiple
    of 1/65,536: 0.1 is 6,554 of them, 0.100006. Elsewhere this is ``torch.nn.functional.dropout``.

    Args:
        values: of any shape.
        p: probability of zero, in [0, 1).
    """
    if values.device.type != "cpu":
        return functional.dropout(values, p)
    zeros = min(round(p * _STEPS), _STEPS - 1)
    draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64)
    bits = draws.random_(-(1 << 63), None).view(torch.int16)[: values.numel()]
    # A mask in the values' format: a product with booleans converts them first, in both passes.
    mask = torch.empty_like(values, requires_grad=False)
    torch.ge(bits.view(values.shape), zeros - _STEPS // 2, out=mask)
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

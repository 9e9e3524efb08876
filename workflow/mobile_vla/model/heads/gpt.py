"""The GPT head: a small causal transformer over a window's readouts, and layers for the chunk."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mobile_vla.config.heads.gpt import Gpt
from mobile_vla.model.heads.head import HeadShape, RegressionHead, product_operations

WIDER = 4  # the layers between attention, as in GPT-2
INIT_STD = 0.02  # of the positions, as in GPT-2


class GptHead(RegressionHead):
    """A causal transformer, as RoboVLMs' GPTDecoder (Li et al. 2024, arXiv:2412.14058).

    Its layers are those of GPT-2 (Radford et al. 2019): norms before attention and MLP, learned
    positions, a norm at the end. Readouts are projected to its width first.
    """

    future: Tensor

    def __init__(self, settings: Gpt, shape: HeadShape):
        super().__init__(shape)
        width = settings.hidden_size
        self.project = nn.Linear(shape.readout, width)
        self.positions = nn.Parameter(torch.randn(shape.window, width) * INIT_STD)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(settings.dropout)
        future = torch.ones(shape.window, shape.window, dtype=torch.bool).triu(1)  # (W, W)
        self.register_buffer("future", future, persistent=False)
        self.make_outputs(settings, width)

    def states(self, readouts: Tensor) -> Tensor:
        """Return the transformer's states, (B, W, H); each sees its frame and those before it."""
        states = self.dropout(self.project(readouts) + self.positions)
        for block in self.blocks:
            states = block(states, self.future)
        normed: Tensor = self.norm(states)
        return normed

    def operations(self, window: int, predictions: int = 1) -> int:
        """Return the operations: the transformer sees W frames, the MLPs predict."""
        width, layers = self.project.out_features, len(self.blocks)
        products = product_operations(self.project)
        products += layers * 2 * (3 + 1 + 2 * WIDER) * width**2
        attention = layers * 2 * 2 * window * width  # scores and sums, of a frame
        return window * (products + attention) + predictions * self.output_operations()

    def input_operations(self, window: int) -> int:
        """Return the operations of the projection."""
        return window * product_operations(self.project)


class _Block(nn.Module):
    """A layer of the transformer.

    Attention is written out: of a few frames it is no matter of time, its operations are counted
    exactly, and it is exported as products and a softmax.
    """

    def __init__(self, settings: Gpt):
        super().__init__()
        width = settings.hidden_size
        self.heads = settings.heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.widen = nn.Linear(width, WIDER * width)
        self.narrow = nn.Linear(WIDER * width, width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, states: Tensor, future: Tensor) -> Tensor:
        """Return (B, W, H) of (B, W, H); ``future`` (W, W) is True where a frame must not look."""
        batch, window, width = states.shape
        split = self.attend(self.norm1(states)).view(batch, window, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, W, H / heads)
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        attended = (self.dropout(weights).to(value.dtype) @ value).transpose(1, 2)
        states = states + self.dropout(self.out(attended.reshape(batch, window, width)))
        widened = nn.functional.gelu(self.widen(self.norm2(states)))
        narrowed: Tensor = self.dropout(self.narrow(widened))
        return states + narrowed

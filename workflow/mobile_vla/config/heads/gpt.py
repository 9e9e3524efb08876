"""Settings of a small causal transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mobile_vla.config.base import Fraction, Layers, Width
from mobile_vla.config.head import Activation, HeadSettings, Widths, layer_matrices


class Gpt(HeadSettings):
    """A small causal transformer over the readouts of a window, and an MLP on its last state."""

    spans: ClassVar[bool] = True

    type: Literal["gpt"]
    """Says that the head is a causal transformer."""
    layers: Layers = 2
    """Its layers."""
    hidden_size: Width = 512
    """Its width, a multiple of ``heads``; the layers between attention have four times as much."""
    heads: Annotated[int, Field(ge=1, le=1024)] = 8
    """Attention heads of a layer."""
    mlp: Widths = ()
    """Widths of the layers between the transformer and the actions; empty: one linear layer."""
    activation: Activation = "gelu"
    """Between the layers of the MLP."""
    output: Literal["linear", "tanh"] = "linear"
    """``tanh`` keeps predictions within the action scale, whose ends it reaches in the limit."""
    dropout: Fraction = 0.0
    """Dropout in the transformer and in the MLP."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        return self

    def matrices(self, readout: int, window: int, values: int) -> int:
        """Return the parameters of its matrices, the table of positions among them."""
        width = self.hidden_size
        blocks = self.layers * layer_matrices(width, 3 * width) + self.layers * 9 * width**2
        return (readout + window) * width + blocks + layer_matrices(width, *self.mlp, values)

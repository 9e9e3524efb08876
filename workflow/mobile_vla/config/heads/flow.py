"""Settings of flow matching."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mobile_vla.config.base import Fraction, Layers, Width
from mobile_vla.config.head import Activation, HeadSettings, Widths, layer_matrices, lstm_matrices

TIME_FEATURES = 16
"""Numbers by which the flow head's layers know the time."""


class Flow(HeadSettings):
    """An LSTM, and a flow that leads noise to a chunk."""

    pads: ClassVar[bool] = False

    type: Literal["flow"]
    """Says that the head is trained by flow matching."""
    steps: Annotated[int, Field(ge=1, le=100)] = 10
    """Euler steps of a prediction, each a pass through ``mlp``."""
    layers: Layers = 1
    """LSTM layers."""
    hidden_size: Width = 512
    """Width of the LSTM."""
    mlp: Widths = (512, 512)
    """Widths of the layers that compute the flow's velocity; empty: one linear layer."""
    activation: Activation = "gelu"
    """Between these layers."""
    dropout: Fraction = 0.0
    """Dropout between LSTM layers and in the MLP."""

    def matrices(self, readout: int, window: int, values: int) -> int:
        """Return the parameters of its matrices; see :meth:`HeadSettings.matrices`."""
        lstm = lstm_matrices(readout, self.hidden_size, self.layers)
        inputs = self.hidden_size + values + TIME_FEATURES
        return lstm + layer_matrices(inputs, *self.mlp, values)

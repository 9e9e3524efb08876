"""Settings of an LSTM."""

from __future__ import annotations

from typing import Literal

from mobile_vla.config.base import Fraction, Layers, Width
from mobile_vla.config.head import Activation, HeadSettings, Widths, layer_matrices, lstm_matrices


class Lstm(HeadSettings):
    """An LSTM over the readouts of a window, and an MLP on its last state."""

    type: Literal["lstm"] = "lstm"
    """Says that the head is an LSTM."""
    layers: Layers = 1
    """LSTM layers."""
    hidden_size: Width = 512
    """Width of the LSTM."""
    mlp: Widths = ()
    """Widths of the layers between the LSTM and the actions; empty: one linear layer."""
    activation: Activation = "gelu"
    """Between the layers of the MLP."""
    output: Literal["linear", "tanh"] = "linear"
    """``tanh`` keeps predictions within the action scale, whose ends it reaches in the limit."""
    dropout: Fraction = 0.0
    """Dropout between LSTM layers and in the MLP."""

    def matrices(self, readout: int, window: int, values: int) -> int:
        """Return the parameters of its matrices; see :meth:`HeadSettings.matrices`."""
        lstm = lstm_matrices(readout, self.hidden_size, self.layers)
        return lstm + layer_matrices(self.hidden_size, *self.mlp, values)

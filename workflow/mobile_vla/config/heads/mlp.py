"""Settings of layers without memory."""

from __future__ import annotations

from typing import ClassVar, Literal

from mobile_vla.config.base import Fraction
from mobile_vla.config.head import Activation, HeadSettings, Widths, layer_matrices


class Mlp(HeadSettings):
    """Layers on one readout: the last one of the window, or the mean of all."""

    causal: ClassVar[bool] = False

    type: Literal["mlp"]
    """Says that the head is an MLP."""
    readout: Literal["last", "mean"] = "last"
    """What of the window it sees: the newest frame alone, or the mean over its frames."""
    mlp: Widths = (512,)
    """Widths of the layers between the readout and the actions; empty: one linear layer."""
    activation: Activation = "gelu"
    """Between the layers."""
    output: Literal["linear", "tanh"] = "linear"
    """``tanh`` keeps predictions within the action scale, whose ends it reaches in the limit."""
    dropout: Fraction = 0.0
    """Dropout between the layers."""

    def matrices(self, readout: int, window: int, values: int) -> int:
        """Return the parameters of its matrices; see :meth:`HeadSettings.matrices`."""
        return layer_matrices(readout, *self.mlp, values)

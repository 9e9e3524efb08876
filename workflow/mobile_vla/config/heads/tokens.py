"""Settings of a choice among classes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from mobile_vla.config.base import Fraction, Layers, Width
from mobile_vla.config.head import Activation, HeadSettings, Widths, layer_matrices, lstm_matrices

MOST_COMMANDS = 64
"""Classes of a head that chooses among commands; fewer commands leave some of them unused."""
Classes = Annotated[
    Annotated[Annotated[int, Field(ge=2, le=4096)], Tag("bins")]
    | Annotated[Literal["commands"], Tag("commands")],
    Discriminator(
        lambda value: "commands" if isinstance(value, str) and not value.isdecimal() else "bins"
    ),
]


class Tokens(HeadSettings):
    """An LSTM, and a choice among classes: bins of each dimension, or whole commands."""

    pads: ClassVar[bool] = False

    type: Literal["tokens"]
    """Says that the head chooses among classes."""
    classes: Classes = 255
    """So many equal bins of each dimension within the action scale, where an odd number has the
    stop among them; or ``commands``: the distinct commands of the training episodes, at most 64."""
    choose: Literal["argmax", "sample"] = "argmax"
    """What it answers: the likeliest class, or one drawn by its probabilities."""
    layers: Layers = 1
    """LSTM layers."""
    hidden_size: Width = 512
    """Width of the LSTM."""
    mlp: Widths = ()
    """Widths of the layers between the LSTM and the classes; empty: one linear layer."""
    activation: Activation = "gelu"
    """Between the layers of the MLP."""
    dropout: Fraction = 0.0
    """Dropout between LSTM layers and in the MLP."""

    def matrices(self, readout: int, window: int, values: int) -> int:
        """Return the least parameters of its matrices: of commands, those of one dimension."""
        lstm = lstm_matrices(readout, self.hidden_size, self.layers)
        outputs = values * self.classes if isinstance(self.classes, int) else MOST_COMMANDS
        return lstm + layer_matrices(self.hidden_size, *self.mlp, outputs)

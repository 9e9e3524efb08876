"""Settings of the heads, which turn the readouts of a window into a chunk of actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mobile_vla.config.base import Fraction, Layers, Settings, Width

Widths = Annotated[tuple[Width, ...], Field(max_length=100)]
Activation = Literal["gelu", "relu"]


class HeadSettings(Settings, ABC):
    """What every head has."""

    causal: ClassVar[bool] = True
    """Whether it predicts from each frame of a window with those before it, and not from the last
    alone: only then ``training.supervise: every_frame`` means something."""
    pads: ClassVar[bool] = True
    """Whether it writes RoboVLMs' padding beside the velocities."""

    @abstractmethod
    def matrices(self, readout: int, window: int, values: int) -> int:
        """Return the parameters of its matrices, without biases and norms.

        Args:
            readout: width of a readout, D.
            window: frames of a window, W.
            values: numbers that it predicts, C times the dimensions.
        """


def lstm_matrices(readout: int, hidden: int, layers: int) -> int:
    """Return the parameters of an LSTM's matrices: four gates, of the input and of the state."""
    inputs = [readout, *[hidden] * (layers - 1)]
    return sum(4 * hidden * (width + hidden) for width in inputs)


def layer_matrices(*widths: int) -> int:
    """Return the parameters of the matrices between layers of these widths."""
    return sum(one * other for one, other in pairwise(widths))


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


class Gpt(HeadSettings):
    """A small causal transformer over the readouts of a window, and an MLP on its last state."""

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


DEFAULT_HEAD = "lstm"
"""The type of a head that does not say one."""


def head_type(value: Any) -> str:
    """Return the type of a head's settings, as they stand in config.yaml or read."""
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return DEFAULT_HEAD if kind is None else str(kind)


Head = Annotated[
    Annotated[Lstm, Tag("lstm")]
    | Annotated[Mlp, Tag("mlp")]
    | Annotated[Gpt, Tag("gpt")]
    | Annotated[Tokens, Tag("tokens")]
    | Annotated[Flow, Tag("flow")],
    Discriminator(head_type),
]

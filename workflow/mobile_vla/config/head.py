"""What the settings of every head have, and how a head's type names its modules and classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mobile_vla.config.base import Settings, Width

Widths = Annotated[tuple[Width, ...], Field(max_length=100)]
Activation = Literal["gelu", "relu"]

DEFAULT_HEAD = "lstm"
"""The type of a head that does not say one."""


class HeadSettings(Settings, ABC):
    """What every head has."""

    type: str
    """Its type, which is the name of its modules in ``config/heads`` and ``model/heads``."""

    causal: ClassVar[bool] = True
    """Whether it predicts from each frame of a window with those before it, and not from the last
    alone: only then ``training.supervise: every_frame`` means something."""
    spans: ClassVar[bool] = False
    """Whether its parameters are those of one length of windows."""
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


def class_name(kind: str) -> str:
    """Return the name of the class of a type's settings; the head's own has ``Head`` behind it."""
    return "".join(word.capitalize() for word in kind.split("_"))


def head_type(value: Any) -> str:
    """Return the type of a head's settings, as they stand in config.yaml or read."""
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return DEFAULT_HEAD if kind is None else str(kind)

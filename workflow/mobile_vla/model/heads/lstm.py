"""The LSTM head: an LSTM over a window's readouts, and layers that write the chunk."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.model.heads.head import HeadShape, RegressionHead, product_operations


class LstmHead(RegressionHead):
    """An LSTM that starts anew for each window, and an MLP on its last state."""

    def __init__(self, settings: Lstm, shape: HeadShape):
        super().__init__(shape)
        self.lstm = make_lstm(settings, shape.readout)
        self.make_outputs(settings, settings.hidden_size)

    def states(self, readouts: Tensor) -> Tensor:
        """Return the LSTM's states, (B, W, H)."""
        return run_lstm(self.lstm, readouts)

    def operations(self, window: int, predictions: int = 1) -> int:
        """Return the operations: the LSTM runs over W frames, the MLPs once a prediction."""
        return window * product_operations(self.lstm) + predictions * self.output_operations()


class _LstmSettings(Protocol):
    """The settings of an LSTM, among those of a head."""

    @property
    def layers(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def dropout(self) -> float: ...


def make_lstm(settings: _LstmSettings, readout: int) -> nn.LSTM:
    """Return an LSTM over readouts of a width; it has dropout between its layers."""
    return nn.LSTM(
        readout,
        settings.hidden_size,
        settings.layers,
        batch_first=True,
        dropout=settings.dropout if settings.layers > 1 else 0.0,
    )


def run_lstm(lstm: nn.LSTM, readouts: Tensor) -> Tensor:
    """Return an LSTM's states, (B, W, H), over windows (B, W, D); it starts anew for each.

    oneDNN has an LSTM in bf16 only for CPUs with AVX-512; on others it runs in float32.
    """
    states: Tensor
    reduced = readouts.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if reduced and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        with torch.autocast("cpu", enabled=False):
            states, _ = lstm(readouts.float())
    else:
        states, _ = lstm(readouts)
    return states

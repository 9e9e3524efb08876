"""The head: an LSTM over a window's readouts, and a layer that writes the chunk."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from mobile_vla.config.model import Head


class LstmHead(nn.Module):
    """W readouts in, C actions of A dimensions out, in normalised units.

    The LSTM starts anew for each window, so that a window's prediction does not depend on where it
    was cut from.
    """

    def __init__(self, settings: Head, readout_size: int, chunk: int, dimensions: int):
        super().__init__()
        self.chunk, self.dimensions = chunk, dimensions
        self.lstm = nn.LSTM(
            readout_size,
            settings.hidden_size,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
        )
        layers: list[nn.Module] = []
        for width, following in pairwise([settings.hidden_size, *settings.mlp]):
            layers += [nn.Linear(width, following), nn.GELU(), nn.Dropout(settings.dropout)]
        width = settings.mlp[-1] if settings.mlp else settings.hidden_size
        self.mlp = nn.Sequential(*layers, nn.Linear(width, chunk * dimensions))

    def forward(self, readouts: Tensor) -> Tensor:
        """Predict a chunk from each window.

        Args:
            readouts: (B, W, D).

        Returns:
            (B, C, A) actions in normalised units.
        """
        states, _ = self.lstm(readouts)  # (B, W, H)
        return self.mlp(states[:, -1]).view(-1, self.chunk, self.dimensions)

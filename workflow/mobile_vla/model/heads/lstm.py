"""The head: an LSTM over a window's readouts, and layers that write the chunk."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mobile_vla.config.model import Head, Padding

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class LstmHead(nn.Module):
    """W readouts in, C actions of A dimensions out, in normalised units.

    The LSTM starts anew for each window, so that a window's prediction does not depend on where it
    was cut from. With padding there are P outputs a step in place of A: after the velocities those
    that are to be zero, and last the gripper's logit, which has layers of its own as in RoboVLMs
    (Li et al. 2024, arXiv:2412.14058).
    """

    def __init__(
        self,
        settings: Head,
        readout_size: int,
        chunk: int,
        dimensions: int,
        padding: Padding | None = None,
    ):
        super().__init__()
        self.chunk, self.bounded = chunk, settings.output == "tanh"
        self.dimensions = dimensions if padding is None else padding.action_dim - 1
        self.lstm = nn.LSTM(
            readout_size,
            settings.hidden_size,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
        )
        self.mlp = _layers(settings, chunk * self.dimensions)
        self.gripper = None if padding is None else _layers(settings, chunk)

    def forward(self, readouts: Tensor) -> Tensor:
        """Predict a chunk from each window.

        Args:
            readouts: (B, W, D).

        Returns:
            (B, C, A) actions in normalised units; (B, C, P) with padding.
        """
        states, _ = self.lstm(readouts)  # (B, W, H)
        last = states[:, -1]
        actions = self.mlp(last).view(-1, self.chunk, self.dimensions)
        if self.bounded:
            actions = actions.tanh()
        if self.gripper is None:
            return actions
        return torch.cat([actions, self.gripper(last)[..., None]], dim=-1)


def _layers(settings: Head, outputs: int) -> nn.Sequential:
    """Return the layers from the LSTM's last state to some outputs."""
    widths = [settings.hidden_size, *settings.mlp]
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        activation = ACTIVATIONS[settings.activation]()
        layers += [nn.Linear(width, following), activation, nn.Dropout(settings.dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

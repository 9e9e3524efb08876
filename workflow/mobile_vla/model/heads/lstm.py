"""The LSTM head: an LSTM over a window's readouts, and layers that write the chunk."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from mobile_vla.config.model import Head
from mobile_vla.model.heads.head import ActionHead

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class LstmHead(ActionHead):
    """An LSTM that starts anew for each window, and an MLP on its last state.

    The gripper's logit has an MLP to itself, as in RoboVLMs (Li et al. 2024, arXiv:2412.14058).
    """

    def __init__(
        self, settings: Head, readout_size: int, chunk: int, dimensions: int, gripper: bool = False
    ):
        super().__init__(chunk, dimensions)
        self.bounded = settings.output == "tanh"
        self.lstm = nn.LSTM(
            readout_size,
            settings.hidden_size,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
        )
        self.mlp = _layers(settings, chunk * dimensions)
        self.gripper = _layers(settings, chunk) if gripper else None

    def forward(self, readouts: Tensor) -> Tensor:
        """Predict a chunk from each window; see :meth:`ActionHead.forward`."""
        last = self._states(readouts)[:, -1]  # (B, H)
        actions = self.mlp(last).view(-1, self.chunk, self.dimensions)
        if self.bounded:
            actions = actions.tanh()
        if self.gripper is None:
            return actions
        return torch.cat([actions, self.gripper(last)[..., None]], dim=-1)

    def _states(self, readouts: Tensor) -> Tensor:
        """Return the LSTM's states, (B, W, H).

        oneDNN has an LSTM in bf16 only for CPUs with AVX-512; on others it runs in float32.
        """
        reduced = readouts.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if reduced and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            with torch.autocast("cpu", enabled=False):
                return self.lstm(readouts.float())[0]
        return self.lstm(readouts)[0]

    def operations(self, window: int) -> int:
        """Return the operations of a window: the LSTM runs over its frames, the MLPs once."""
        matrices = {name: p.numel() for name, p in self.named_parameters() if "weight" in name}
        runs = {name: window if name.startswith("lstm.") else 1 for name in matrices}
        return 2 * sum(count * runs[name] for name, count in matrices.items())

    @staticmethod
    def outputs_of(tensors: Mapping[str, Tensor]) -> int:
        """Return the outputs of the MLP's last layer."""
        last = max(int(name.split(".")[1]) for name in tensors if name.startswith("mlp."))
        return len(tensors[f"mlp.{last}.bias"])


def _layers(settings: Head, outputs: int) -> nn.Sequential:
    widths = [settings.hidden_size, *settings.mlp]
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        activation = ACTIVATIONS[settings.activation]()
        layers += [nn.Linear(width, following), activation, nn.Dropout(settings.dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

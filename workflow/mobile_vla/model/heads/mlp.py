"""The MLP head: layers on the last readout of a window, or on the mean of all."""

from __future__ import annotations

from torch import Tensor, nn

from mobile_vla.config.heads.mlp import Mlp
from mobile_vla.model.heads.head import HeadShape, RegressionHead


class MlpHead(RegressionHead):
    """An MLP on one vector: no memory of the window, or none of its order."""

    def __init__(self, settings: Mlp, shape: HeadShape):
        super().__init__(shape)
        self.mean = settings.readout == "mean"
        self.make_outputs(settings, shape.readout)

    def states(self, readouts: Tensor) -> Tensor:
        """Return the vector that is looked at, (B, 1, D), as the only state."""
        return readouts.mean(dim=1, keepdim=True) if self.mean else readouts[:, -1:]

    def operations(self, window: int, predictions: int = 1) -> int:
        """Return the operations of the layers."""
        return predictions * self.output_operations()

    def input_operations(self, window: int) -> int:
        """Return the operations of the first layers."""
        firsts = [layers[0] for layers in (self.mlp, self.gripper) if layers is not None]
        return sum(2 * one.weight.numel() for one in firsts if isinstance(one, nn.Linear))

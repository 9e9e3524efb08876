"""The interface of the heads: what the rest of the library knows of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class ActionHead(nn.Module, ABC):
    """Turns the readouts of a window, (B, W, D), into a chunk of actions, (B, C, P).

    Without padding P is A, the predicted dimensions. With padding it is more: after the velocities
    those outputs that are to be zero, and last the gripper's logit, as in RoboVLMs (Li et al. 2024,
    arXiv:2412.14058). ``chunk`` is C, and ``dimensions`` is P without the gripper.

    Parameters are stored under the names that they have here. Random initialisation and dropout
    draw from PyTorch's generator, which the caller seeds.
    """

    def __init__(self, chunk: int, dimensions: int):
        super().__init__()
        self.chunk, self.dimensions = chunk, dimensions

    @abstractmethod
    def forward(self, readouts: Tensor) -> Tensor:
        """Predict a chunk, (B, C, P) with normalised velocities, from each window, (B, W, D).

        Readouts stand oldest first. A prediction depends on its window alone.
        """

    @abstractmethod
    def operations(self, window: int) -> int:
        """Return the floating-point operations of the forward pass of one window of W frames.

        Only matrix products count, a multiplication and an addition as two. The parameters may have
        no content (PyTorch's ``meta`` device).
        """

    @staticmethod
    @abstractmethod
    def outputs_of(tensors: Mapping[str, Tensor]) -> int:
        """Return how many values a head of these parameters writes, C times ``dimensions``."""

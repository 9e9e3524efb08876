"""The interface of a head: all that the rest of the library knows of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mobile_vla.config.head import Activation

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


@dataclass(frozen=True)
class HeadShape:
    """The sizes of what a head reads and writes."""

    window: int  # W
    readout: int  # D
    chunk: int  # C
    dimensions: int  # A, or with padding P without the gripper
    gripper: bool = False  # whether a gripper's logit stands behind them

    @property
    def values(self) -> int:
        """Numbers that are predicted, without the gripper's."""
        return self.chunk * self.dimensions


class Supervised(NamedTuple):
    """What a head is trained by, of N predictions."""

    outputs: Tensor
    """(N, C, P) what :meth:`ActionHead.forward` would predict, or an estimate of it that costs
    nothing while training: what the reported errors are of."""
    loss: Tensor | None
    """(N, C) the head's own loss of each action; None where it is that of the outputs themselves
    (``training/loss.py``)."""


class ActionHead(nn.Module, ABC):
    """Turns the readouts of a window, (B, W, D), into a chunk of actions, (B, C, P).

    It does so in two steps: :meth:`states` of the frames, and :meth:`predict` from one of them.

    Without padding P is A, the predicted dimensions. With padding it is more: after the velocities
    those outputs that are to be zero, and last the gripper's logit, as in RoboVLMs (Li et al. 2024,
    arXiv:2412.14058).

    Parameters and buffers are stored under the names that they have here. Random initialisation,
    dropout and other draws in training use PyTorch's generator, which the caller seeds. In
    evaluation mode a prediction is a function of its window alone.
    """

    has_own_loss = False
    """Whether :meth:`compare` returns a loss."""

    def __init__(self, shape: HeadShape):
        super().__init__()
        self.shape = shape

    @abstractmethod
    def states(self, readouts: Tensor) -> Tensor:
        """Return the state (B, W, H) at each frame of windows (B, W, D), oldest first.

        A causal head's state at a frame depends on that frame and those before it. A head that is
        not may return one state, (B, 1, H).
        """

    @abstractmethod
    def predict(self, states: Tensor) -> Tensor:
        """Predict chunks (N, C, P), with normalised velocities, from states (N, H)."""

    def forward(self, readouts: Tensor) -> Tensor:
        """Predict a chunk, (B, C, P) with normalised velocities, from each window, (B, W, D).

        Readouts stand oldest first. A prediction depends on its window alone.
        """
        return self.predict(self.states(readouts)[:, -1])

    def supervised(self, readouts: Tensor, targets: Tensor, learned: Tensor) -> Supervised:
        """Return what windows (B, W, D) are trained by.

        Args:
            readouts: oldest first.
            targets: (B, C, A) the actions at the end of each window, N = B; or (B, W, C, A) those
                at each of its frames, N = B · W.
            learned: (A,) True for the dimensions that are learnt.
        """
        states = self.states(readouts)
        if targets.ndim == 4:
            return self.compare(states.flatten(0, 1), targets.flatten(0, 1), learned)
        return self.compare(states[:, -1], targets, learned)

    def compare(self, states: Tensor, targets: Tensor, learned: Tensor) -> Supervised:
        """Return what states (N, H) are trained by, given their actions (N, C, A)."""
        return Supervised(self.predict(states), None)

    def prepare(self, commands: Tensor, *, trained: bool = False) -> None:
        """Adapt a head to the commands (n, A), normalised, that training will show it.

        What it keeps of them is a buffer, so that it travels with the policy.

        Args:
            trained: whether it has been trained: then it keeps what it has, and adds to it.
        """
        del commands, trained

    @abstractmethod
    def operations(self, window: int, predictions: int = 1) -> int:
        """Return the floating-point operations of :meth:`supervised` for one window of W frames.

        Only matrix products count, a multiplication and an addition as two. The parameters may have
        no content (PyTorch's ``meta`` device).

        Args:
            window: W.
            predictions: at how many of its frames a chunk is predicted.
        """

    def input_operations(self, window: int) -> int:
        """Return the operations of those products that the readouts themselves enter.

        Where the readouts are fixed, as at the cut ``readout``, no gradient for them is computed;
        but by an LSTM, which computes it in any case.
        """
        del window
        return 0

    @staticmethod
    @abstractmethod
    def outputs_of(tensors: Mapping[str, Tensor], settings: Any) -> int:
        """Return how many values a head of these tensors predicts, C times ``dimensions``.

        ``settings`` are the head's own.
        """


def make_layers(widths: list[int], activation: Activation, dropout: float = 0.0) -> nn.Sequential:
    """Return linear layers from the first to the last width, with activations between them."""
    layers: list[nn.Module] = []
    for width, following in pairwise(widths[:-1]):
        layers += [nn.Linear(width, following), ACTIVATIONS[activation](), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def product_operations(module: nn.Module) -> int:
    """Return the operations of all matrices of a module with one vector, forward."""
    return 2 * sum(one.numel() for name, one in module.named_parameters() if "weight" in name)


def last_bias(tensors: Mapping[str, Tensor], layers: str) -> Tensor:
    """Return the bias of the last of the layers of :func:`make_layers` of that name."""
    numbers = [int(name.split(".")[1]) for name in tensors if name.startswith(f"{layers}.")]
    return tensors[f"{layers}.{max(numbers)}.bias"]


class RegressionHead(ActionHead):
    """A head whose MLP writes the velocities themselves: its loss is that of the outputs.

    The gripper's logit has an MLP to itself, as in RoboVLMs (Li et al. 2024, arXiv:2412.14058).
    """

    mlp: nn.Sequential
    gripper: nn.Sequential | None

    def make_outputs(self, settings: Any, width: int) -> None:
        """Make the MLPs that follow a state of a width; called last, as draws have an order."""
        self.bounded = settings.output == "tanh"
        hidden = [width, *settings.mlp]
        rest = settings.activation, settings.dropout
        self.mlp = make_layers([*hidden, self.shape.values], *rest)
        self.gripper = (
            make_layers([*hidden, self.shape.chunk], *rest) if self.shape.gripper else None
        )

    def predict(self, states: Tensor) -> Tensor:
        """Predict chunks from states; see :meth:`ActionHead.predict`."""
        actions = self.mlp(states).view(-1, self.shape.chunk, self.shape.dimensions)
        if self.bounded:
            actions = actions.tanh()
        if self.gripper is None:
            return actions
        return torch.cat([actions, self.gripper(states)[..., None]], dim=-1)

    def output_operations(self) -> int:
        """Return the operations of a prediction from a state."""
        gripper = 0 if self.gripper is None else product_operations(self.gripper)
        return product_operations(self.mlp) + gripper

    @staticmethod
    def outputs_of(tensors: Mapping[str, Tensor], settings: Any) -> int:
        """Return the outputs of the MLP's last layer."""
        return len(last_bias(tensors, "mlp"))

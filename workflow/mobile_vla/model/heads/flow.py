"""The flow head: an LSTM, and a flow that leads noise to a chunk in a few steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mobile_vla.config.heads.flow import TIME_FEATURES, Flow
from mobile_vla.model.heads.head import (
    ActionHead,
    HeadShape,
    Supervised,
    make_layers,
    product_operations,
)
from mobile_vla.model.heads.lstm import make_lstm, run_lstm


class FlowHead(ActionHead):
    """Flow matching (Lipman et al. 2023, arXiv:2210.02747), as π0 has it (arXiv:2410.24164).

    The path from noise ε to a chunk a is straight: at time t it is at (1 - t) ε + t a, and its
    velocity is a - ε. An MLP learns that velocity, given the point, the time and the LSTM's state;
    the loss is the squared error, a mean over the dimensions that are learnt. Training draws ε from
    a normal distribution and t uniformly, anew for each prediction and step.

    A prediction starts from a noise that is drawn once, with the weights, and stored with them: so
    that a window has one answer on every machine, and the answer to a command with two right ones
    does not change from one control step to the next.
    """

    has_own_loss = True
    noise: Tensor
    frequencies: Tensor

    def __init__(self, settings: Flow, shape: HeadShape):
        super().__init__(shape)
        self.steps = settings.steps
        self.lstm = make_lstm(settings, shape.readout)
        inputs = settings.hidden_size + shape.values + TIME_FEATURES
        widths = [inputs, *settings.mlp, shape.values]
        self.mlp = make_layers(widths, settings.activation, settings.dropout)
        self.register_buffer("noise", torch.randn(shape.chunk, shape.dimensions))  # (C, A)
        octaves = math.pi * 2.0 ** torch.arange(TIME_FEATURES // 2)
        self.register_buffer("frequencies", octaves / 2, persistent=False)

    def states(self, readouts: Tensor) -> Tensor:
        """Return the LSTM's states, (B, W, H)."""
        return run_lstm(self.lstm, readouts)

    def predict(self, states: Tensor) -> Tensor:
        """Follow the flow from the stored noise by Euler's method; return (N, C, A)."""
        point = self.noise.expand(len(states), -1, -1)
        for step in range(self.steps):
            time = torch.full_like(point[:, :1, :1], step / self.steps)
            point = point + self._velocity(point, time, states) / self.steps
        return point

    def compare(self, states: Tensor, targets: Tensor, learned: Tensor) -> Supervised:
        """Return the squared error of the velocity (N, C), and chunks (N, C, A).

        In training the chunks are where the velocity of the drawn point leads straight on. In
        evaluation they are predictions, and the error is the mean over the times of Euler's steps
        on the path from the stored noise: the same for a window, whatever is beside it.
        """
        if self.training:
            time = torch.rand_like(targets[:, :1, :1])  # (N, 1, 1)
            noise = torch.randn_like(targets)
            error, end = self._error(noise, time, states, targets, learned)
            return Supervised(end.detach(), error)
        noise = self.noise.expand_as(targets)
        times = [torch.full_like(targets[:, :1, :1], k / self.steps) for k in range(self.steps)]
        errors = [self._error(noise, time, states, targets, learned)[0] for time in times]
        return Supervised(self.predict(states), torch.stack(errors).mean(dim=0))

    def _error(
        self, noise: Tensor, time: Tensor, states: Tensor, targets: Tensor, learned: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the velocity's squared error (N, C), and where it leads (N, C, A)."""
        point = (1 - time) * noise + time * targets
        velocity = self._velocity(point, time, states)
        squares = (velocity - (targets - noise)).square()  # (N, C, A)
        return (squares * learned).sum(-1) / learned.sum(), point + (1 - time) * velocity

    def _velocity(self, point: Tensor, time: Tensor, states: Tensor) -> Tensor:
        """Return the velocity (N, C, A) at points (N, C, A) and times (N, 1, 1), in float32."""
        angles = time[:, 0] * self.frequencies  # (N, T / 2)
        inputs = [states.float(), point.flatten(1), angles.sin(), angles.cos()]
        velocity: Tensor = self.mlp(torch.cat(inputs, dim=-1)).float()
        return velocity.view(point.shape)

    def operations(self, window: int, predictions: int = 1) -> int:
        """Return the operations: the LSTM runs over W frames, the MLP once a prediction."""
        layers = product_operations(self.mlp)
        return window * product_operations(self.lstm) + predictions * layers

    @staticmethod
    def outputs_of(tensors: Mapping[str, Tensor], settings: Flow) -> int:
        """Return the values of the noise."""
        return tensors["noise"].numel()

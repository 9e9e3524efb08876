"""The tokens head: an LSTM, and for each step of the chunk a choice among classes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mobile_vla.config.heads.tokens import MOST_COMMANDS, Tokens
from mobile_vla.errors import UserError
from mobile_vla.model.heads.head import (
    ActionHead,
    HeadShape,
    Supervised,
    last_bias,
    make_layers,
    product_operations,
)
from mobile_vla.model.heads.lstm import make_lstm, run_lstm

# Each number of a chunk is drawn with the one before it, moved on by the golden ratio (a Kronecker
# sequence); the first is the fractional part of a projection of the state, so many times as large.
GOLDEN = (math.sqrt(5) - 1) / 2
SPREAD = 1000.0


class TokensHead(ActionHead):
    """An LSTM and an MLP that writes logits; the loss is their cross entropy, in nats.

    With bins each dimension has its classes, as in RT-1 (Brohan et al. 2022, arXiv:2212.06817) and
    RoboVLMs' DiscreteDecoder (Li et al. 2024, arXiv:2412.14058), and the loss is the mean over the
    dimensions that are learnt. With commands a class is a whole action, one that the training
    episodes have; the true class is then the nearest command.
    """

    has_own_loss = True
    table: Tensor
    known: Tensor
    ray: Tensor

    def __init__(self, settings: Tokens, shape: HeadShape):
        super().__init__(shape)
        self.bins = settings.classes if isinstance(settings.classes, int) else None
        self.samples = settings.choose == "sample"
        self.lstm = make_lstm(settings, shape.readout)
        logits = shape.chunk * (
            MOST_COMMANDS if self.bins is None else shape.dimensions * self.bins
        )
        widths = [settings.hidden_size, *settings.mlp, logits]
        self.mlp = make_layers(widths, settings.activation, settings.dropout)
        if self.bins is None:
            known = torch.arange(MOST_COMMANDS) < 1  # the stop, until there are episodes
            self.register_buffer("table", torch.zeros(MOST_COMMANDS, shape.dimensions))  # (K, A)
            self.register_buffer("known", known)  # (K,)
        else:
            self.register_buffer("table", torch.linspace(-1, 1, self.bins), persistent=False)
        if self.samples:
            self.register_buffer("ray", torch.randn(settings.hidden_size) * SPREAD)  # (H,)

    def prepare(self, commands: Tensor, *, trained: bool = False) -> None:
        """Take the distinct commands (n, A), normalised, as classes, behind those of a trained one.

        Raises:
            UserError: there are more than classes.
        """
        if self.bins is not None:
            return
        distinct = commands.to(self.table).unique(dim=0)
        if trained:
            before = self.table[self.known]
            is_new = (distinct[:, None] != before).any(-1).all(-1)  # (n,)
            distinct = torch.cat([before, distinct[is_new]])
        if len(distinct) > MOST_COMMANDS:
            raise UserError(
                f"config.yaml (head.classes): the training episodes have {len(distinct)} distinct "
                f"commands, and `classes: commands` takes {MOST_COMMANDS} at most, as a keyboard "
                "gives; say a number of bins, such as `classes: 255`"
            )
        self.known.copy_(torch.arange(MOST_COMMANDS) < len(distinct))
        self.table.zero_()
        self.table[: len(distinct)] = distinct

    def states(self, readouts: Tensor) -> Tensor:
        """Return the LSTM's states, (B, W, H)."""
        return run_lstm(self.lstm, readouts)

    def predict(self, states: Tensor) -> Tensor:
        """Return the actions (N, C, A) of the chosen classes."""
        return self._actions(self._logits(states), states)

    def compare(self, states: Tensor, targets: Tensor, learned: Tensor) -> Supervised:
        """Return the actions that would be chosen, and the cross entropy of each (N, C)."""
        logits = self._logits(states)  # (N, C, A, K), or (N, C, 1, K)
        classes = self._classes(targets, learned)  # (N, C, A), or (N, C, 1)
        entropy = cross_entropy(logits.flatten(0, 2), classes.flatten(), reduction="none")
        entropy = entropy.view(classes.shape)
        counts = learned if self.bins is not None else learned.new_ones(1)
        loss = (entropy * counts).sum(-1) / counts.sum()
        return Supervised(self._actions(logits.detach(), states.detach()), loss)

    def _logits(self, states: Tensor) -> Tensor:
        logits = self.mlp(states).float().unflatten(-1, (self.shape.chunk, -1))
        if self.bins is None:  # (N, C, 1, K)
            return logits[..., None, :].masked_fill(~self.known, -math.inf)
        return logits.unflatten(-1, (self.shape.dimensions, self.bins))  # (N, C, A, K)

    def _classes(self, targets: Tensor, learned: Tensor) -> Tensor:
        """Return the class of each target (N, C, A): of each dimension, or (N, C, 1)."""
        if self.bins is not None:
            places = (targets.clamp(-1, 1) + 1) / 2 * (self.bins - 1)
            return places.round().long()
        apart = ((targets[..., None, :] - self.table) * learned).square().sum(-1)  # (N, C, K)
        return apart.masked_fill(~self.known, math.inf).argmin(-1, keepdim=True)

    def _actions(self, logits: Tensor, states: Tensor) -> Tensor:
        """Return the actions (N, C, A) that are chosen by logits."""
        chosen = self._drawn(logits, states) if self.samples else logits.argmax(-1)
        actions = self.table[chosen]  # (N, C, A), or (N, C, 1, A)
        return actions if self.bins is not None else actions[:, :, 0]

    def _drawn(self, logits: Tensor, states: Tensor) -> Tensor:
        """Draw classes (N, C, A) or (N, C, 1) by their probabilities, a function of the states.

        The same window is thus answered alike, whatever was asked before it.
        """
        start = (states.float() * self.ray).sum(-1)  # (N,)
        count = logits.shape[1] * logits.shape[2]
        steps = torch.arange(count, device=logits.device) * GOLDEN
        numbers = (start[:, None] + steps).remainder(1).view(logits.shape[:-1])  # uniform in [0, 1)
        below = logits.softmax(-1).cumsum(-1) <= numbers[..., None]
        # Rounding may leave the sum of all below 1; the last class that has any probability it is.
        places = torch.arange(logits.shape[-1], device=logits.device)
        last = (places * (logits > -math.inf)).amax(-1)
        return torch.minimum(below.sum(-1), last)

    def operations(self, window: int, predictions: int = 1) -> int:
        """Return the operations: the LSTM runs over W frames, the MLP once a prediction."""
        layers = product_operations(self.mlp)
        return window * product_operations(self.lstm) + predictions * layers

    @staticmethod
    def outputs_of(tensors: Mapping[str, Tensor], settings: Tokens) -> int:
        """Return the outputs of the MLP's last layer, each class of an action as its values."""
        logits = len(last_bias(tensors, "mlp"))
        if isinstance(settings.classes, int):
            return logits // settings.classes
        return logits // MOST_COMMANDS * tensors["table"].shape[1]

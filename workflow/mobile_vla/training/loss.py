"""The loss and the errors that training watches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import huber_loss


def summed_loss(predicted: Tensor, targets: Tensor, mask: Tensor, delta: float) -> Tensor:
    """Sum the Huber loss over the actions that count.

    The sum and not the mean: batches are ragged, and the mean over an optimiser step or over an
    epoch is the sum of all divided by the number of all.

    Args:
        predicted: (B, C, A) in normalised units.
        targets: (B, C, A).
        mask: (B, C) True where the action exists.
        delta: where the loss turns from square to linear (Huber 1964).
    """
    losses = huber_loss(predicted.float(), targets, reduction="none", delta=delta)  # (B, C, A)
    return (losses * mask[..., None]).sum()


def absolute_error(predicted: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Sum the absolute error over the actions that count, for each dimension: (A,)."""
    errors = (predicted.float() - targets).abs() * mask[..., None]  # (B, C, A)
    return errors.sum(dim=(0, 1), dtype=torch.float64)

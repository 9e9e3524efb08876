"""The loss and the errors that training watches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, huber_loss

from mobile_vla.config.model import Padding


class Objective:
    """What training minimises, and what it reports of it.

    That is the mean Huber loss over the velocities that are learnt. With padding it is RoboVLMs'
    (Li et al. 2024, arXiv:2412.14058): ``loss_arm_act``, the mean over velocities and zeros, and a
    weighted ``loss_gripper_act``. The velocities' own loss is reported in either case.

    Args:
        delta: where the Huber loss turns from square to linear, in normalised units.
        dimensions: A, the predicted velocities.
        learned: how many of them are learnt.
        padding: what the head writes besides them.
    """

    def __init__(self, delta: float, dimensions: int, learned: int, padding: Padding | None):
        self.delta, self.dimensions, self.learned = delta, dimensions, learned
        self.padding = padding
        self.parts = 1 if padding is None else 4  # that `sums` returns
        # what `loss_arm_act` is a mean over: velocities and zeros, without the gripper
        self.arm = learned if padding is None else learned + padding.action_dim - 1 - dimensions

    def sums(self, outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Sum what a batch of predictions got wrong.

        Args:
            outputs: (B, C, P) all that the head writes: velocities in normalised units, then zeros,
                and last the gripper's logit. Without padding P is A.
            targets: (B, C, A) true velocities.
            mask: (B, C) True where the action exists.

        Returns:
            (1,) Huber loss of the velocities. With padding (4,): also Huber loss of the zeros,
            cross entropy of the gripper, which is to stay open (a target of 0), and how many
            actions it stays open in.
        """
        velocities = summed_loss(outputs[..., : self.dimensions], targets, mask, self.delta)
        if self.padding is None:
            return velocities[None]
        zeros, gripper = outputs[..., self.dimensions : -1], outputs[..., -1].float()
        wrong = summed_loss(zeros, torch.zeros_like(zeros).float(), mask, self.delta)
        entropy = binary_cross_entropy_with_logits(
            gripper, torch.zeros_like(gripper), reduction="none"
        )
        correct = ((gripper <= 0) & mask).sum()
        return torch.stack([velocities, wrong, (entropy * mask).sum(), correct.float()])

    def minimised(self, sums: Tensor, actions: float) -> Tensor:
        """Return what is minimised, from the :meth:`sums` of a part of some actions."""
        if self.padding is None:
            return sums[0] / (actions * self.learned)
        arm = (sums[0] + sums[1]) / (actions * self.arm)
        return arm + self.padding.gripper_loss_ratio * sums[2] / actions

    def reported(self, sums: Sequence[float], actions: int) -> dict[str, float]:
        """Return the means: ``loss`` over the velocities and, with padding, RoboVLMs' by its names.

        Args:
            sums: what :meth:`sums` returned, added up.
            actions: number of actions that they were summed over.
        """
        found = {"loss": sums[0] / (actions * self.learned)}
        if self.padding is not None:
            found["loss_arm_act"] = (sums[0] + sums[1]) / (actions * self.arm)
            found["loss_gripper_act"] = sums[2] / actions
            found["acc_gripper_act"] = sums[3] / actions
        return found


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

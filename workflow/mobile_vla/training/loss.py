"""The training loss, and the errors that are reported beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, huber_loss

from mobile_vla.config.model import Padding


class Objective:
    """The loss that training minimises, and its parts for the report.

    It is the mean Huber loss over the velocities that are learnt. With padding it is RoboVLMs'
    (Li et al. 2024, arXiv:2412.14058): ``loss_arm_act``, the mean over velocities and zeros, and a
    weighted ``loss_gripper_act``. A head may have its own loss instead, such as a cross entropy,
    which is then reported as ``objective``. The velocities' Huber loss is reported in all cases: it
    alone can be compared between heads, and it selects the checkpoint.

    Args:
        delta: where the Huber loss turns from square to linear, in normalised units.
        learned: how many of the A ``dimensions`` are learnt.
        padding: what the head writes besides them.
        own: whether the head has its own loss; it writes no padding then.
    """

    def __init__(
        self,
        delta: float,
        dimensions: int,
        learned: int,
        padding: Padding | None,
        own: bool = False,
    ):
        self.delta, self.dimensions, self.learned = delta, dimensions, learned
        self.padding, self.own = padding, own
        self.parts = 2 if own else 1 if padding is None else 4  # of the sums
        # what `loss_arm_act` is a mean over: velocities and zeros, without the gripper
        self.arm = learned if padding is None else learned + padding.action_dim - 1 - dimensions

    def compute_loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        mask: Tensor,
        actions: float,
        own: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute a batch's part of the loss of a step, which is a mean over ``actions`` actions.

        Args:
            outputs: (B, C, P) all that the head writes: velocities in normalised units, then zeros,
                and last the gripper's logit. Without padding P is A.
            targets: (B, C, A) true velocities.
            mask: (B, C) True where the action exists.
            actions: how many exist in the whole step.
            own: (B, C) the loss of a head that has its own.

        Returns:
            The loss, a scalar, and what was summed for it. The sums are (1,) Huber loss of the
            velocities; with padding (4,), also Huber loss of the zeros, cross entropy of the
            gripper, which is to stay open (a target of 0), and in how many actions it does; of a
            head with its own loss (2,), that too.
        """
        velocities = summed_huber(outputs[..., : self.dimensions], targets, mask, self.delta)
        if own is not None:
            total = (own.float() * mask).sum()
            return total / actions, torch.stack([velocities.detach(), total])
        if self.padding is None:
            return velocities / (actions * self.learned), velocities[None]
        zeros, gripper = outputs[..., self.dimensions : -1], outputs[..., -1].float()
        zeros_loss = summed_huber(zeros, torch.zeros_like(zeros).float(), mask, self.delta)
        entropies = binary_cross_entropy_with_logits(
            gripper, torch.zeros_like(gripper), reduction="none"
        )
        entropy = (entropies * mask).sum()
        open_count = ((gripper <= 0) & mask).sum()
        arm = (velocities + zeros_loss) / (actions * self.arm)
        loss = arm + self.padding.gripper_loss_ratio * entropy / actions
        return loss, torch.stack([velocities, zeros_loss, entropy, open_count.float()])

    def reported(self, sums: Sequence[float], actions: int) -> dict[str, float]:
        """Return the means: ``loss`` over the velocities and, where something else is minimised,
        the head's own loss as ``objective`` or, with padding, RoboVLMs' by its names.

        ``sums`` are those of :meth:`compute_loss`, added up over a number of actions.
        """
        means = {"loss": sums[0] / (actions * self.learned)}
        if self.own:
            means["objective"] = sums[1] / actions
        if self.padding is not None:
            means["loss_arm_act"] = (sums[0] + sums[1]) / (actions * self.arm)
            means["loss_gripper_act"] = sums[2] / actions
            means["acc_gripper_act"] = sums[3] / actions
        return means


def summed_huber(predicted: Tensor, targets: Tensor, mask: Tensor, delta: float) -> Tensor:
    """Sum the Huber loss (Huber 1964) of (B, C, A) over the actions that exist, by mask (B, C)."""
    losses = huber_loss(predicted.float(), targets, reduction="none", delta=delta)  # (B, C, A)
    return (losses * mask[..., None]).sum()


def summed_error(predicted: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Sum the absolute error over the actions that exist, for each dimension: (A,)."""
    errors = (predicted.float() - targets).abs() * mask[..., None]  # (B, C, A)
    return errors.sum(dim=(0, 1), dtype=torch.float64)

"""Streaming inference: a frame a control step, with the readouts of earlier frames kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast


class Stream:
    """Runs a policy for several robots at once, each with its prompt.

    Each control step encodes each robot's newest frame, once, and gives the head the last W
    readouts: what :class:`~mobile_vla.model.policy.Policy` predicts from the window of these
    frames, at the cost of one frame instead of W.

    Before W frames have been seen, the first one stands for those that are missing: the robot
    stands still before an episode starts. Training sees the same with ``start: repeat``.

    Args:
        policy: a policy in evaluation mode, on the device that it is to run on.
        prompts: for each of the B robots the index of its prompt in ``policy.texts``.
        precision: resolved number format of the forward pass.
    """

    def __init__(self, policy: Policy, prompts: Sequence[int], precision: str = "fp32"):
        self.policy = policy
        self.precision = precision
        self.device = policy.device
        self.prompts = torch.as_tensor(prompts, dtype=torch.long, device=self.device)
        self.readouts: Tensor | None = None  # (B, W, D), oldest first

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots, in the order given; the others have finished."""
        chosen = torch.as_tensor(robots, dtype=torch.long, device=self.device)
        self.prompts = self.prompts[chosen]
        if self.readouts is not None:
            self.readouts = self.readouts[chosen]

    @torch.inference_mode()
    def step(self, frames: np.ndarray) -> np.ndarray:
        """Predict from the newest frames, (B, 224, 224, 3) uint8 RGB, and those before them.

        Returns:
            (B, C, A) float32 as recorded; with ``target: next`` the chunk's first action
            belongs to the step after this one, with ``current`` to this one.

        Raises:
            ValueError: there are not as many frames as robots.
        """
        if len(frames) != len(self.prompts):
            raise ValueError(f"{len(frames)} frames for {len(self.prompts)} robots")
        policy = self.policy
        with autocast(self.precision, self.device):
            images = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
            newest = policy.encoder.readouts(images, self.prompts, "pixels")[:, None]  # (B, 1, D)
            if self.readouts is None:
                self.readouts = newest.expand(-1, policy.settings.window, -1)
            else:
                self.readouts = torch.cat([self.readouts[:, 1:], newest], dim=1)  # (B, W, D)
            normalised = policy.chunks(self.readouts).float()  # (B, C, A)
        return policy.recorded(policy.denormalise(normalised).cpu().numpy())

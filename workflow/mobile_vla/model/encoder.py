"""Encode frames and prompts into readouts: the forward pass through the backbone.

Training, feature extraction, evaluation and serving all call :meth:`Encoder.readouts`; they differ
only in the cut at which they enter.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mobile_vla.backbone.kosmos2 import encode_images, run_language_model, token_embeddings
from mobile_vla.config.features import Cut
from mobile_vla.files import digest_of
from mobile_vla.model.prompts import PromptTokens

# At the cut `readout` runs of all seeds share the features, and so the action token in them.
READOUT_TOKEN_SEED = 0

PROMPTS = ("ids", "slots", "action")


class Encoder(nn.Module):
    """A backbone, its prompts and its action token.

    Args:
        backbone: the backbone's model, or PEFT's wrapper of it.
        processor: the backbone's processor, for the mean and standard deviation of pixels.
        prompts: P tokenised prompts.
        action_token: (D,) the action token's vector.
        learned: whether the action token is trained.
    """

    ids: Tensor
    slots: Tensor
    action: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        processor: Any,
        prompts: PromptTokens,
        action_token: Tensor,
        learned: bool,
    ):
        super().__init__()
        self.backbone = backbone
        if learned:
            self.action_token = nn.Parameter(action_token)
        else:
            self.register_buffer("action_token", action_token)
        for name in PROMPTS:
            self.register_buffer(name, getattr(prompts, name), persistent=False)
        images = processor.image_processor
        for name, values in (("mean", images.image_mean), ("std", images.image_std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    @property
    def base_model(self) -> Any:
        """The backbone's model itself, whether or not adapters are in it."""
        return base_model(self.backbone)

    def use_prompts(self, prompts: PromptTokens) -> None:
        """Put other prompts in place of the present ones."""
        for name in PROMPTS:
            setattr(self, name, getattr(prompts, name).to(self.ids.device))

    def tokens_digest(self) -> str:
        """Return a digest of the prompts as the backbone's tokenizer reads them."""
        return digest_of([self.ids.tolist(), self.slots.tolist()])

    def image_embeds(self, frames: Tensor) -> Tensor:
        """Encode frames up to the language model's input.

        Args:
            frames: (N, 224, 224, 3) uint8, RGB.

        Returns:
            (N, L, D) image embeddings.
        """
        pixels = frames.permute(0, 3, 1, 2).float() / 255  # (N, 3, 224, 224)
        pixels = (pixels - self.mean) / self.std
        return encode_images(self.base_model, pixels)

    def language(self, image_embeds: Tensor, prompts: Tensor) -> Tensor:
        """Run the language model, and read its state at the action token.

        Args:
            image_embeds: (N, L, D).
            prompts: (N,) index of each frame's prompt.

        Returns:
            (N, D) readouts. The attention is causal and padding stands behind the action token, so
            a readout does not depend on what else is in the batch.
        """
        count = len(image_embeds)
        token = self.action_token.to(image_embeds.dtype).expand(count, 1, -1)  # (N, 1, D)
        at = self.action[prompts]  # (N,)
        length = int(at.max()) + 1  # padding that no prompt of this batch needs is cut off
        hidden = run_language_model(
            self.backbone,
            ids=self.ids[prompts, :length],
            embeds=torch.cat([image_embeds, token], dim=1),  # (N, L + 1, D)
            slots=self.slots[prompts, :length],
        )  # (N, S, D)
        return hidden[torch.arange(count, device=hidden.device), at]

    def readouts(self, features: Tensor, prompts: Tensor, cut: Cut) -> Tensor:
        """Run what of the forward pass lies behind a cut.

        Args:
            features: frames (N, 224, 224, 3) at ``pixels``, (N, L, D) at ``image_embeds``, or
                (N, D) at ``readout``.
            prompts: (N,) index of each frame's prompt.
            cut: where ``features`` were taken.

        Returns:
            (N, D) readouts.
        """
        if cut == "readout":
            return features
        if cut == "pixels":
            features = self.image_embeds(features)
        return self.language(features, prompts)


def base_model(backbone: Any) -> Any:
    """Return the backbone's model itself, whether or not PEFT wraps it."""
    return backbone.get_base_model() if hasattr(backbone, "get_base_model") else backbone


def initial_action_token(model: nn.Module, seed: int) -> Tensor:
    """Draw an action token that looks like a word to the language model.

    Returns:
        (D,) normal with the standard deviation of the token embeddings.
    """
    embeddings = token_embeddings(model)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(embeddings.shape[1], generator=generator)
    return drawn * embeddings.detach().float().std().cpu()

"""Encode frames and prompts into readouts: the forward pass through the backbone.

All stages call :meth:`Encoder.readouts`; they differ only in the cut at which they enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mobile_vla.backbone.kosmos2 import (
    encode_images,
    run_language_model,
    run_lower_layers,
    run_top_layers,
    token_embeddings,
    tokenise,
)
from mobile_vla.config.features import Cut
from mobile_vla.errors import UserError
from mobile_vla.files import digest_of

# Behind the prompt, runs of all seeds share the features, and so the action token in them.
READOUT_TOKEN_SEED = 0

PROMPTS = ("ids", "slots", "action")


@dataclass(frozen=True)
class PromptTokens:
    """Prompts as the language model reads them.

    The action token stands right after the last real token and never after padding, so that the
    rest of a batch cannot move it.
    """

    ids: Tensor
    """(P, S) token ids, padded on the right."""
    slots: Tensor
    """(P, S) True where image embeddings and, last, the action token's vector go."""
    action: Tensor
    """(P,) position of the action token."""

    @classmethod
    def of(cls, texts: Sequence[str], processor: Any, image_tokens: int) -> PromptTokens:
        """Tokenise prompts with a backbone's processor.

        Raises:
            UserError: the tokenizer does not know a character of a prompt, so that prompts which
                differ in it would be the same to the model.
        """
        tokenizer = processor.tokenizer
        for text in texts:
            pieces = tokenizer.tokenize(text)
            ids = tokenizer.convert_tokens_to_ids(pieces)
            unknown = [
                piece
                for piece, number in zip(pieces, ids, strict=True)
                if number == tokenizer.unk_token_id
            ]
            if unknown:
                raise UserError(
                    f"config.yaml (prompt): the backbone's tokenizer does not know "
                    f"{', '.join(map(repr, unknown))} in {text!r}; write the prompt with known "
                    "characters, or add a sentence to the backbone's `tokenizer_corpus`"
                )
        tokens = [tokenise(processor, text, image_tokens) for text in texts]
        rows = [torch.tensor(ids) for ids, _ in tokens]
        slots = [torch.tensor(marks) for _, marks in tokens]
        return cls(
            ids=pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id),
            slots=pad_sequence(slots, batch_first=True).bool(),
            action=torch.tensor([len(row) - 1 for row in rows]),
        )


class Encoder(nn.Module):
    """A backbone, or PEFT's wrapper of it, its prompts and its action token, a vector (D,).

    ``layers`` is how many layers of the language model lie behind the cut ``hidden_states``, where
    the states are rounded as they are stored; None: the encoder has no such cut. ``stock`` runs the
    last layer for all tokens too, by the model's own forward pass.
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
        layers: int | None = None,
    ):
        super().__init__()
        self.backbone = backbone
        self.layers, self.stock = layers, False
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
        """Encode frames, (N, 224, 224, 3) uint8 RGB, into image embeddings, (N, L, D)."""
        # A copy of its own, changed in place: a new tensor for each step took half as long again.
        pixels = frames.permute(0, 3, 1, 2).to(torch.float32, copy=True)  # (N, 3, 224, 224)
        return encode_images(self.base_model, pixels.div_(255).sub_(self.mean).div_(self.std))

    def language(self, image_embeds: Tensor, prompts: Tensor) -> Tensor:
        """Run the language model over image embeddings (N, L, D), each with a prompt's index (N,).

        Returns:
            (N, D) readouts: its states at the action token. The attention is causal and padding
            stands behind that token, so a readout does not depend on what else is in the batch.
        """
        if self.layers is not None and not self.stock:
            return self.top_layers(self.hidden_states(image_embeds, prompts), prompts)
        inputs = self._inputs(image_embeds, prompts)
        return run_language_model(self.base_model, *inputs, self.action[prompts], self.stock)

    def _inputs(self, image_embeds: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids (N, S), embeddings (N, L + 1, D) and their slots (N, S)."""
        token = self.action_token.to(image_embeds.dtype).expand(len(image_embeds), 1, -1)
        length = self._length(prompts)
        embeds = torch.cat([image_embeds, token], dim=1)
        return self.ids[prompts, :length], embeds, self.slots[prompts, :length]

    def _length(self, prompts: Tensor) -> int:
        """Return S without the padding that none of some prompts (N,) needs."""
        return int(self.action[prompts].max()) + 1

    def hidden_states(self, image_embeds: Tensor, prompts: Tensor) -> Tensor:
        """Return the states (N, S, D) that enter the adapted layers; see :meth:`language`.

        Under autocast to bfloat16 they are rounded to it, which halves what is stored. The live
        pass goes through the same function, so that a stored state equals a live one.
        """
        assert self.layers is not None
        inputs = self._inputs(image_embeds, prompts)
        states = run_lower_layers(self.base_model, *inputs, self.layers)
        device = states.device.type
        # Not to float16, whose range may be too small.
        half = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
        return states.bfloat16() if half is torch.bfloat16 else states

    def top_layers(self, states: Tensor, prompts: Tensor) -> Tensor:
        """Return readouts (N, D) of what :meth:`hidden_states` gave, padded or not."""
        assert self.layers is not None
        states = states[:, : self._length(prompts)].float()  # sums of layers stay in float32
        return run_top_layers(self.base_model, states, self.action[prompts], self.layers)

    def readouts(self, features: Tensor, prompts: Tensor, cut: Cut) -> Tensor:
        """Run what of the forward pass lies behind a cut.

        Args:
            features: frames (N, 224, 224, 3) at ``pixels``, (N, L, D) at ``image_embeds``,
                (N, S, D) at ``hidden_states``, or (N, D) at ``readout``.
            prompts: (N,) index of each frame's prompt.
            cut: where ``features`` were taken.

        Returns:
            (N, D) readouts.
        """
        if cut == "readout":
            return features
        if cut == "hidden_states":
            return self.top_layers(features, prompts)
        if cut == "pixels":
            features = self.image_embeds(features)
        return self.language(features, prompts)


def base_model(backbone: Any) -> Any:
    """Return the backbone's model itself, whether or not PEFT wraps it."""
    return backbone.get_base_model() if hasattr(backbone, "get_base_model") else backbone


def initial_action_token(model: nn.Module, seed: int) -> Tensor:
    """Draw an action token, (D,), with the standard deviation of the token embeddings."""
    embeddings = token_embeddings(model)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(embeddings.shape[1], generator=generator)
    return drawn * embeddings.detach().float().std().cpu()

"""Tokenise prompts, with the places of image and action token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mobile_vla.backbone.kosmos2 import tokenise
from mobile_vla.errors import UserError


@dataclass(frozen=True)
class PromptTokens:
    """Prompts as the language model reads them.

    The action token stands right after the last real token and never after padding, so that the
    rest of a batch cannot move it.

    Args:
        ids: (P, S) token ids, padded on the right.
        slots: (P, S) True where image embeddings and, last, the action token's vector go.
        action: (P,) position of the action token.
    """

    ids: Tensor
    slots: Tensor
    action: Tensor

    @classmethod
    def of(cls, texts: Sequence[str], processor: Any, image_tokens: int) -> PromptTokens:
        """Tokenise prompts with a backbone's processor.

        Raises:
            UserError: the tokenizer does not know a character of a prompt, so that prompts which
                differ in it would be the same to the model.
        """
        tokenizer = processor.tokenizer
        rows, slots = [], []
        for text in texts:
            unknown = [
                piece
                for piece in tokenizer.tokenize(text)
                if tokenizer.convert_tokens_to_ids(piece) == tokenizer.unk_token_id
            ]
            if unknown:
                raise UserError(
                    f"config.yaml (prompt): the backbone's tokenizer does not know "
                    f"{', '.join(map(repr, unknown))} in {text!r}; write the prompt with known "
                    "characters, or add a sentence to the backbone's `tokenizer_corpus`"
                )
            ids, marks = tokenise(processor, text, image_tokens)
            rows.append(ids)
            slots.append(marks)
        width = max(map(len, rows))
        padding = tokenizer.pad_token_id
        return cls(
            ids=torch.tensor([row + [padding] * (width - len(row)) for row in rows]),
            slots=torch.tensor([row + [0] * (width - len(row)) for row in slots]).bool(),
            action=torch.tensor([len(row) - 1 for row in rows]),
        )

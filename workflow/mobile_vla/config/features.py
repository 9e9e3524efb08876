"""Settings of the feature store."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from mobile_vla.config.base import Count, Layers, Settings
from mobile_vla.config.prompt import Prompt
from mobile_vla.files import digest_of

Cut = Literal["pixels", "image_embeds", "hidden_states", "readout"]
AFTER_PROMPT: frozenset[Cut] = frozenset({"hidden_states", "readout"})
"""Cuts whose features have read their prompt and the action token."""
View = Literal["plain", "mirrored"]
VIEWS: tuple[View, ...] = get_args(View)
Precision = Literal["auto", "fp32", "bf16", "fp16", "fp16_on_gpu"]


class Features(Settings):
    """How features are computed: one setting for all that share them."""

    threads: Count = 1
    """CPU threads; features depend on their number in the last bits."""
    batch_size: Count = 32
    """Frames encoded at a time."""


class FeatureKey(Settings):
    """All that a feature's value depends on, besides frames and backbone."""

    cut: Cut
    """End of the frozen prefix."""
    view: View = "plain"
    """Which view of the frame is encoded: as recorded, or flipped left to right."""
    precision: Precision
    """Number format of the forward pass."""
    prompt: Prompt | None
    """At the cuts ``hidden_states`` and ``readout``, the prompt that they have read."""
    layers: Layers | None = Field(default=None, exclude_if=lambda layers: layers is None)
    """At the cut ``hidden_states``, how many layers of the language model lie behind it."""

    @property
    def key(self) -> str:
        """Eight hex digits that name the feature file."""
        return digest_of(self.model_dump(mode="json"), digits=8)


class ExtractSettings(Settings):
    """What the ``features`` stage is given."""

    dataset: str
    backbone: str
    key: FeatureKey
    compute: Features

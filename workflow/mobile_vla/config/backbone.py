"""Settings of the backbones: random weights of any size, or a checkpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mobile_vla.config.base import Count, Fraction, Layers, Place, Positive, Seed, Settings, Texts

Width = Annotated[int, Field(ge=8, le=65_536)]


class VisionSize(Settings):
    """Size of the vision tower; the defaults are those of kosmos-2-patch14-224."""

    hidden_size: Width = 1024
    layers: Layers = 24
    heads: Count = 16
    ffn: Annotated[int, Field(ge=8, le=262_144)] = 4096

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        return self


class TextSize(Settings):
    """Size of the language model; the defaults are those of kosmos-2-patch14-224."""

    hidden_size: Width = 2048
    layers: Layers = 24
    heads: Count = 32
    ffn: Annotated[int, Field(ge=8, le=262_144)] = 8192
    vocabulary: Annotated[int, Field(ge=1500, le=1_000_000)] = 65037
    dropout: Fraction = 0.1

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.hidden_size % self.heads or self.hidden_size % 2:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        return self


class Initialisation(Settings):
    """Random weights that let the image through to the readout.

    At Kosmos-2's own initialisation the last hidden state varies by 0.3 % across frames, and
    nothing is learnt from images. These gains are relative to it.
    """

    text_std: Positive = 0.1
    """Standard deviation of the language model's weights (stock: 0.02)."""
    position_gain: Positive = 15.0
    """Factor on the vision tower's position code, which is made smooth over the image."""
    projection_gain: Positive = 10.0
    """Factor on the projection from image to text."""
    attention_gain: Positive = 2.0
    """Factor on the queries and keys of the projection's attention."""


class RandomBackbone(Settings):
    """A Kosmos-2 of any size with random weights, written as an ordinary checkpoint folder."""

    weights: Literal["random"]
    """Says that the weights are drawn, not downloaded."""
    seed: Seed = 0
    """Seed of the weights."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format that the weights are drawn and stored in. At the full size bf16 takes 3.3 GB on
    disk and at most twice that in memory, and fp32 twice as much."""
    vision: VisionSize = VisionSize()
    """Size of the vision tower."""
    text: TextSize = TextSize()
    """Size of the language model."""
    image_tokens: Annotated[int, Field(ge=1, le=1024)] = 64
    """Latent queries: how many tokens an image becomes in the language model."""
    initialisation: Initialisation = Initialisation()
    """Scale of the random weights."""
    tokenizer_corpus: Texts = (
        "Navigate around the box on the left side and reach the target",
        "Navigate around the box on the right side and reach the target",
        "Navigate around obstacles and reach the front of the beverage bottle on the left",
        "Navigate around obstacles and reach the front of the beverage bottle on the right",
        "가장 왼쪽 외곽으로 돌아 컵까지 가세요",
        "가장 오른쪽 외곽으로 돌아 컵까지 가세요",
    )
    """Sentences that the tokenizer is trained on; other prompts are spelt letter by letter."""


class PretrainedBackbone(Settings):
    """A Kosmos-2 checkpoint from the Hugging Face hub or from a folder."""

    checkpoint: Place
    """A local folder, or a hub id such as ``microsoft/kosmos-2-patch14-224``."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The hub's commit (40 hex digits), required with a hub id: a branch may move."""

    @model_validator(mode="after")
    def _fixed(self) -> Self:
        local = self.checkpoint.startswith((".", "/", "~")) or self.checkpoint.count("/") != 1
        if not local and self.revision is None:
            raise ValueError(
                f"the hub id {self.checkpoint!r} needs a `revision`, the 40 hex digits of a commit "
                "from the model's page, because a branch may move; write a folder as ./folder"
            )
        if local and self.revision is not None:
            raise ValueError(
                f"the folder {self.checkpoint!r} has no revision, its files are tracked by their "
                "bytes; remove `revision`"
            )
        return self


def _backbone_kind(value: Any) -> str:
    weights = value.get("weights") if isinstance(value, dict) else getattr(value, "weights", None)
    return "pretrained" if weights is None else "random"


Backbone = Annotated[
    Annotated[RandomBackbone, Tag("random")] | Annotated[PretrainedBackbone, Tag("pretrained")],
    Discriminator(_backbone_kind),
]


class BackboneSettings(Settings):
    """What the ``backbone`` stage is given."""

    name: str
    backbone: Backbone

"""Settings of the policy: what of the backbone is trained, the head, and what they need."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mobile_vla.config.base import Settings
from mobile_vla.config.features import Cut
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions


class Lora(Settings):
    """Low-rank adapters on the language model (Hu et al. 2021, arXiv:2106.09685)."""

    r: Annotated[int, Field(ge=1)] = 32
    """Rank of the adapters."""
    alpha: Annotated[float, Field(gt=0)] = 16
    """Scale of the update, which is alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout on the adapters' input."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases of the language model are trained too."""
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "out_proj",
    )
    """Linear layers that are adapted; in the language model only."""


class FullFinetune(Settings):
    """Which parts of the backbone train when ``finetune: full``."""

    vision: bool = True
    """The vision tower."""
    projection: bool = True
    """The image-to-text projection."""
    text: bool = True
    """The language model's layers."""
    text_embedding: bool = True
    """The language model's token embeddings."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.vision, self.projection, self.text, self.text_embedding)):
            raise ValueError("nothing is trained; say `finetune: none` instead")
        return self


class Head(Settings):
    """The LSTM that turns W readouts into C actions."""

    layers: Annotated[int, Field(ge=1)] = 1
    """LSTM layers."""
    hidden_size: Annotated[int, Field(ge=1)] = 512
    """Width of the LSTM."""
    mlp: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Widths of the layers between the LSTM and the actions; empty: one linear layer."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Between the layers of the MLP."""
    output: Literal["linear", "tanh"] = "linear"
    """``tanh`` keeps predictions within the action scale, as in RoboVLMs, and reaches its ends only
    in the limit."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout between LSTM layers and in the MLP."""


class Padding(Settings):
    """Outputs that this robot has no use for, as RoboVLMs' seven dimensions ask for: after the
    velocities zeros, and last a gripper that is never closed.

    They dilute the loss: what is optimised is a mean over the zeros too. What is reported, and
    selects the checkpoint, is the loss over the velocities alone.
    """

    action_dim: Annotated[int, Field(ge=2)] = 7
    """Outputs a step in all."""
    gripper_loss_ratio: Annotated[float, Field(ge=0)] = 0.01
    """Weight of ``loss_gripper_act`` beside ``loss_arm_act``."""


class PolicySettings(Settings):
    """All that shapes a policy; it travels in ``policy.json``, which rebuilds the policy."""

    window: Annotated[int, Field(ge=1)]
    """Observed frames W."""
    chunk: Annotated[int, Field(ge=1)]
    """Predicted actions C."""
    finetune: Literal["lora", "full", "none"]
    """What of the backbone is trained: adapters, the parts that ``full`` names, or nothing."""
    lora: Lora | None
    """The adapters, with ``finetune: lora``."""
    full: FullFinetune | None
    """The trained parts, with ``finetune: full``."""
    head: Head
    """The head."""
    padding: Padding | None = None
    """Outputs besides the velocities."""
    prompt: Prompt
    """The prompts."""
    actions: Actions
    """The predicted dimensions and their scale."""
    mirror: bool = False
    """Whether it learns from mirror images too, so that their prompts are in its table."""

    @property
    def cut(self) -> Cut:
        """Where the frozen prefix ends: the deepest point that no trained parameter precedes."""
        if self.finetune == "none":
            return "readout"
        if self.full is not None and (self.full.vision or self.full.projection):
            return "pixels"
        return "image_embeds"

    @property
    def head_dimensions(self) -> int:
        """Velocities and zeros that the head writes for a step, without the gripper's output."""
        padding = self.padding
        return len(self.actions.dimensions) if padding is None else padding.action_dim - 1

    @property
    def learned_action_token(self) -> bool:
        """Whether the action token is trained: not where the readout itself is stored."""
        return self.cut != "readout"

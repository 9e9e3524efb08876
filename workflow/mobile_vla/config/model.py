"""Settings of a run: its policy, and what the stages share that train and test it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mobile_vla.config.base import (
    Count,
    Fraction,
    Layers,
    NotNegative,
    Positive,
    Seed,
    Settings,
    Texts,
    Width,
)
from mobile_vla.config.features import AFTER_PROMPT, Cut, Precision
from mobile_vla.config.heads import Head
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Frames, Windows


class Lora(Settings):
    """Low-rank adapters on the language model (Hu et al. 2021, arXiv:2106.09685)."""

    r: Width = 32
    """Rank of the adapters."""
    alpha: Positive = 16
    """Scale of the update, which is alpha / r."""
    dropout: Fraction = 0.1
    """Dropout on the adapters' input; on a CPU rounded to a multiple of 1/65,536."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases of the language model are trained too."""
    targets: Texts = ("q_proj", "k_proj", "v_proj", "out_proj")
    """Linear layers that are adapted; in the language model only."""
    layers: Layers | None = Field(default=None, exclude_if=lambda layers: layers is None)
    """How many layers of the language model are adapted, counted from the top; null: all. What lies
    below is computed once for each frame and stored: docs/cut.md."""


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


class Padding(Settings):
    """Outputs without a use here, as RoboVLMs has them: zeros, and last a gripper never closed.

    They dilute the loss: what is optimised is a mean over the zeros too. What is reported, and
    selects the checkpoint, is the loss over the velocities alone.
    """

    action_dim: Annotated[int, Field(ge=2, le=1000)] = 7
    """Outputs a step in all."""
    gripper_loss_ratio: NotNegative = 0.01
    """Weight of ``loss_gripper_act`` beside ``loss_arm_act``."""


class Photometric(Settings):
    """How far a window's pictures may be changed; a factor is drawn from [1 - x, 1 + x]."""

    brightness: Fraction = 0.0
    """Strength x of the change of brightness."""
    contrast: Fraction = 0.0
    """Strength x of the change of contrast."""
    saturation: Fraction = 0.0
    """Strength x of the change of saturation."""

    @property
    def changes(self) -> bool:
        """Whether pictures are changed at all."""
        return any((self.brightness, self.contrast, self.saturation))


class Augment(Photometric):
    """What training sees besides the recorded pictures; validation and test see those alone.

    ``mirror`` is exact and works with stored features. The other changes are drawn anew once for
    each window and epoch, so they need the pictures themselves: where vision is trained.
    """

    mirror: bool = False
    """Train on each episode's mirror image too: pictures flipped, linear_y and angular_z negated,
    left and right exchanged in the prompt."""


class PolicySettings(Settings):
    """All that shapes a policy; it travels in ``policy.json``, which rebuilds the policy."""

    window: Frames
    """Observed frames W."""
    chunk: Frames
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
    prompts: dict[str, Prompt] = Field(default_factory=dict)
    """By dataset, those of a mixture's datasets that have another."""
    actions: Actions
    """The predicted dimensions and their scale."""
    mirror: bool = False
    """Whether it learns from mirror images too, so that their prompts are in its table."""

    def prompt_of(self, dataset: str) -> Prompt:
        """Return the prompt of a dataset's episodes."""
        return self.prompts.get(dataset, self.prompt)

    @property
    def cut(self) -> Cut:
        """Where the frozen prefix ends: the deepest point that no trained parameter precedes."""
        if self.finetune == "none":
            return "readout"
        if self.full is not None and (self.full.vision or self.full.projection):
            return "pixels"
        return "image_embeds" if self.adapted_layers is None else "hidden_states"

    @property
    def adapted_layers(self) -> int | None:
        """How many layers lie behind the cut ``hidden_states``; None at another cut."""
        return None if self.lora is None else self.lora.layers

    @property
    def head_dimensions(self) -> int:
        """Velocities and zeros that the head writes for a step, without the gripper's output."""
        padding = self.padding
        return len(self.actions.dimensions) if padding is None else padding.action_dim - 1

    @property
    def learned_action_token(self) -> bool:
        """Whether the action token is trained: not where features are stored that have read it."""
        return self.cut not in AFTER_PROMPT


class RunSettings(Settings):
    """One run of one experiment: its data, its windows and its policy."""

    experiment: str
    run: str
    seed: Seed
    fold: Annotated[int, Field(ge=0)] = 0
    """The fold of the dataset's split."""
    subset: Count | None = None
    """How many of the fold's training episodes are used; None: all."""
    windows: Windows
    policy: PolicySettings

    @property
    def title(self) -> str:
        """Name of the run in messages."""
        return f"{self.experiment} {self.run}"


class TrainedRunSettings(RunSettings):
    """A run whose policy is trained, and how it is computed with."""

    precision: Precision
    """Number format of the training, which that of a test must be."""
    threads: Count
    """CPU threads; results depend on them in their last bits."""

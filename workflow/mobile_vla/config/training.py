"""Settings of training."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mobile_vla.config.base import Count, Fraction, NotNegative, Positive, Settings
from mobile_vla.config.driving import ValidationDrives
from mobile_vla.config.features import Precision
from mobile_vla.config.ingest import Images
from mobile_vla.config.model import Photometric, RunSettings
from mobile_vla.config.simulator import MAX_VALIDATION_SCENES
from mobile_vla.config.windows import Dimension, Windows


class EarlyStopping(Settings):
    """Stop when what ``select_by`` names no longer improves."""

    patience: Count
    """Epochs without improvement after which training stops."""
    min_delta: NotNegative = 0.0
    """How much lower a loss must be to count as an improvement; with ``select_by: rollout`` it
    decides where as many robots arrive."""


class Training(Settings):
    """How a policy is trained."""

    epochs: Count = 20
    """Passes over the training windows."""
    batch_size: Count = 8
    """Windows in a batch."""
    segment: Count = 2
    """Neighbouring windows that stay together in a batch, where they share most of their frames:
    longer ones are faster, and mix a batch less (docs/performance.md); 1 draws each by itself."""
    accumulation: Count = 1
    """Batches to an optimiser step. Its windows depend on ``batch_size * accumulation`` alone: less
    of one and more of the other changes the result in the last bits, and in what dropout draws."""
    learning_rate: Positive = 1e-4
    """Peak learning rate of AdamW."""
    weight_decay: NotNegative = 0.01
    """Decoupled weight decay of AdamW."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: down to 0 along a half cosine, or constant."""
    warmup: Fraction = 0.0
    """Share of all optimiser steps in which the learning rate rises linearly."""
    clip: Positive | None = 1.0
    """Largest norm of the gradient; null switches clipping off."""
    huber_delta: Positive = 1.0
    """Where Huber's loss turns from square to linear, in normalised units."""
    supervise: Literal["last", "every_frame"] = "last"
    """What a window trains: the chunk after its last frame, which is what is predicted; or a chunk
    after each of its frames, as RoboVLMs does. Validation and test score the last in any case."""
    precision: Precision = "auto"
    """Number format of the forward pass; auto: bf16 where the hardware has it, else fp32.
    fp16 scales the loss and needs a GPU; fp16_on_gpu: fp32 where there is none."""
    gradient_checkpointing: bool = False
    """Keep only each layer's input for the backward pass and compute the rest again: about half
    as much more work for a fraction of the memory (Chen et al. 2016, arXiv:1604.06174)."""
    threads: Count = 1
    """CPU threads; a tracked setting, because results depend on it in their last bits."""
    processes: Count = 1
    """Processes that share each batch, with ``threads`` threads or a GPU each. The result is that
    of one process but for the last bits, so it is tracked."""
    nodes: Annotated[int, Field(ge=1, le=1000, exclude=True)] = 1
    """Nodes of a cluster that share the processes. It changes no result, and reruns nothing."""
    keep_every: Count | None = None
    """Keep a snapshot of the policy every so many epochs, besides best and last."""
    select_by: Literal["val_loss", "rollout"] = "val_loss"
    """Which epoch's policy is kept as the best: that of the lowest validation loss; or that which
    arrives most often in closed loop, of equal ones the lower loss. Simulated datasets only."""
    validation_scenes: Annotated[int, Field(ge=1, le=MAX_VALIDATION_SCENES)] = 20
    """Scenes that each epoch's policy drives with ``select_by: rollout``, each on both sides; no
    dataset and no score has them. More choose better, and take longer: docs/heads.md."""
    early_stopping: EarlyStopping | None = None
    """Stop before ``epochs`` when validation no longer improves."""
    init_from: str | None = None
    """Experiment whose policy, of the same seed, this one starts from."""


Command = Annotated[float, Field(ge=-1e9, le=1e9)]


class GuardLimits(Settings):
    """What ``serve`` lets a policy command; it is stored with the policy, and trains it again."""

    beyond: Literal["clamp", "stop"] = "clamp"
    """A command beyond the range becomes the nearest one within, or the stop."""
    jump: Literal["clamp", "stop"] = "clamp"
    """A command that changes too much becomes the nearest one that does not, or the stop."""
    range: dict[Dimension, tuple[Command, Command]] = Field(default_factory=dict)
    """Smallest and largest command of a dimension, such as ``{linear_x: [-0.5, 1]}``; by default
    those of the training episodes, and the stop."""
    change: dict[Dimension, NotNegative] = Field(default_factory=dict)
    """Largest change of a dimension from a command to the next; by default that of the training
    episodes."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, (lowest, highest) in self.range.items():
            if not lowest <= 0.0 <= highest:
                raise ValueError(f"range.{name}: expected [at most 0, at least 0]: the stop is 0")
        return self


class Matched(Settings):
    """Another run on the same fold, whose number of optimiser steps is taken over."""

    windows: Windows
    subset: Count | None
    mirror: bool
    batch_size: int
    accumulation: int
    epochs: int
    weights: dict[str, float] = Field(default_factory=dict)


class TrainSettings(RunSettings):
    """What the ``train`` stage is given: one run of one experiment."""

    images: Images = Images().settled()
    """How the frames were made: the policy takes it along to the robot."""
    photometric: Photometric = Photometric()
    weights: dict[str, float] = Field(default_factory=dict)
    """By dataset of a mixture, how often an epoch draws each of its windows; empty for others."""
    training: Training
    guard: GuardLimits = GuardLimits()
    matched: Matched | None = None
    """With it, that run's steps are done, in place of so many epochs."""
    drives: ValidationDrives | None = None
    """With ``select_by: rollout``, where each epoch's policy drives."""

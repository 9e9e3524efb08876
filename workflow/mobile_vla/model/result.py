"""The form of ``policy.json``: all that a policy is, and what it was trained with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mobile_vla.config.model import PolicySettings
from mobile_vla.config.windows import Windows
from mobile_vla.result import FileDigest, Result


class TrainedOn(Result):
    """The data that a policy was trained on."""

    dataset: str
    manifest: str
    """SHA-256 of the manifest's entries."""
    split: str
    """SHA-256 of ``split.json``."""
    fold: int
    subset: int | None
    """How many training episodes were used; None for all of them."""
    members: tuple[str, ...] = Field(default=(), exclude_if=lambda members: not members)
    """The datasets of a mixture."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that were trained on: of a mixture its members."""
        return self.members or (self.dataset,)


class TrainedBackbone(Result):
    """The backbone that a policy was trained on."""

    name: str
    """Its name in config.yaml."""
    revision: str | None
    """Commit of a checkpoint from the Hugging Face hub; None for a folder or a random one."""
    digest: str
    """Digest of ``files``."""
    files: dict[str, FileDigest]


class PolicyMetrics(Result):
    """What the policy's epoch had come to; losses in normalised units."""

    train_loss: float
    val_loss: float
    val_mae: dict[str, float]
    """Mean absolute error of each dimension, in command units."""
    clipped: float
    """Share of the predictions that lie beyond the action scale."""
    val_success: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """Share of the validation's drives that succeed; only with ``select_by: rollout``."""


class FrameFormat(Result):
    """How a camera image becomes a frame, and a frame the input of the backbone."""

    resize: Literal["squeeze", "crop"]
    color: Literal["rgb", "bgr"] | None
    """Colour order of the raw images; None where config.yaml does not say it: read as rgb."""
    size: int
    """Side of a frame in pixels."""
    mean: list[float]
    """Of each channel: subtracted from values of 0 to 1."""
    std: list[float]
    """Of each channel: then divided by."""


class StoredGuard(Result):
    """What a server lets a policy command, by dimension in raw command units.

    By default what the training episodes show, mirror images included where it learns from them;
    a robot stands before an episode.
    """

    beyond: Literal["clamp", "stop"]
    """What becomes of a command beyond the range."""
    jump: Literal["clamp", "stop"]
    """What becomes of a command that changes faster than allowed."""
    lowest: dict[str, float]
    highest: dict[str, float]
    change: dict[str, float]
    """Largest change from a frame to the next."""


class MergedFrom(Result):
    """The policy whose adapters or trained weights became part of the backbone."""

    finetune: str
    """``lora`` or ``full``."""
    backbone: str
    """Digest of the backbone that it was trained on."""


class PolicyCore(Result):
    """What the policy itself is; the first part of ``policy.json``."""

    format: int
    """Version of the folder's format."""
    settings: PolicySettings
    backbone: TrainedBackbone
    versions: dict[str, str | None]
    """Version of each library that a prediction goes through."""
    files: dict[str, FileDigest]
    """The other files of the folder; ``README.md`` is not among them, and may be edited."""
    prompts: list[str]
    """The instructions that it was trained with, word by word."""
    tokens: str
    """Digest of the tokens that the tokenizer made of them."""
    fixed: dict[str, float]
    """Dimensions that were not learnt, with their constants in command units."""


class PolicyOrigin(Result):
    """Where a policy comes from; the second part of ``policy.json``."""

    experiment: str
    run: str
    epoch: int
    """Its epoch, from 0."""
    step: int
    """Optimiser steps that it was trained for."""
    metrics: PolicyMetrics
    images: FrameFormat
    windows: Windows
    data: TrainedOn
    precision: str
    """Resolved number format that it was trained in."""
    threads: int
    """CPU threads that it was trained with."""
    guard: StoredGuard
    merged: MergedFrom | None = Field(default=None, exclude_if=lambda value: value is None)
    """Only in the folder that ``merge`` writes."""


# Python's order of bases, from the right: the file begins with what the policy is.
class PolicyDescription(PolicyOrigin, PolicyCore):
    """``policy.json``, whose digests say also what was changed."""

    sealed = False

    digests: dict[str, str]
    """Digest of each entry above, by its place: ``settings.chunk``."""

    def origin(self) -> PolicyOrigin:
        """Return where the policy comes from."""
        return PolicyOrigin(**{name: getattr(self, name) for name in PolicyOrigin.model_fields})

"""Load a policy from its folder, wherever it lies, and predict with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Precision
from mobile_vla.config.ingest import Images
from mobile_vla.errors import UserError
from mobile_vla.machine import default_device
from mobile_vla.model.folder import DESCRIPTION, read_description
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.result import PolicyDescription
from mobile_vla.model.streaming import Stream

BACKBONE = "backbone.json"
MOST = 64
"""Other prompts that a policy takes up: each one lengthens its table for good."""


@dataclass(frozen=True)
class PolicyOptions:
    """How a policy is run.

    Args:
        precision: number format, fp32, bf16, fp16 or auto; by default that of the training.
        threads: CPU threads; by default those of the training, whose results it then gives bit for
            bit on the same kind of CPU.
        allow_other_prompts: allow instructions that the policy was not trained with.
    """

    precision: Precision | None = None
    threads: int | None = None
    allow_other_prompts: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no number of threads.

        Raises:
            ValueError: it is.
        """
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads: found {self.threads}, expected 1 or more")


AS_TRAINED = PolicyOptions()


class Prompts:
    """A policy's prompts, by text; where others are allowed, the policy's table grows by them."""

    def __init__(self, policy: Policy, processor: Any, others: bool):
        self.policy, self.processor, self.others = policy, processor, others
        self.trained = policy.texts

    def index(self, instruction: str | None) -> int:
        """Return the place of an instruction in the policy's table; None where it has but one.

        Raises:
            UserError: the policy was not trained with it, or there are several to choose from.
        """
        texts = self.policy.texts
        if instruction is None:
            if len(self.trained) > 1:
                raise UserError(f"the policy needs an instruction: {self._listed()}")
            return 0
        if instruction in texts:
            return texts.index(instruction)
        if not self.others:
            raise UserError(
                f"the policy was not trained with the instruction {instruction!r}; expected "
                f"{self._listed()}, or `--allow-other-prompts`"
            )
        if len(texts) - len(self.trained) >= MOST:
            raise UserError(
                f"the policy has taken {MOST} other instructions already, which is the most; "
                "use one of them, or start again"
            )
        self.policy.use_prompts((*texts, instruction), self.processor)
        return len(texts)

    def _listed(self) -> str:
        shown = [repr(text) for text in self.trained[:5]]
        more = len(self.trained) - len(shown)
        return " or ".join(shown) + (f" or one of {more} more in policy.json" if more else "")


@dataclass(frozen=True)
class RobotPolicy:
    """A policy in evaluation mode on this machine's device, and how its inputs are made."""

    policy: Policy
    prompts: Prompts
    precision: str
    """Resolved number format of the forward pass."""
    described: PolicyDescription
    """The content of its ``policy.json``."""

    @property
    def images(self) -> Images:
        """How its frames were made of the training episodes' images."""
        return images_of(self.described)

    @property
    def ahead(self) -> list[int]:
        """Steps from the newest frame to each of the chunk's C actions."""
        first = 1 if self.described.windows.target == "next" else 0
        return list(range(first, first + self.policy.settings.chunk))


def load_robot_policy(
    folder: Path, backbone: Path | None = None, options: PolicyOptions = AS_TRAINED
) -> RobotPolicy:
    """Check and load a policy; without a backbone's folder, on that of the results it lies in.

    Raises:
        UserError: the folder is no policy, or something is not as it was in training.
    """
    described = description_of(folder)
    checkpoint = open_backbone(folder, described, backbone)
    torch.set_num_threads(options.threads or described.threads)
    device = default_device()
    resolved = resolve(options.precision or described.precision, device)
    policy = Policy.from_pretrained(folder, checkpoint, resolved).to(device)
    prompts = Prompts(policy, checkpoint.processor(), options.allow_other_prompts)
    return RobotPolicy(policy, prompts, resolved, described)


def predict_drive(loaded: RobotPolicy, frames: np.ndarray, prompt: int) -> np.ndarray:
    """Predict at each frame of a drive, (T, 224, 224, 3) uint8 RGB, from it and those before.

    Returns:
        (T, C, A) float32, raw command units.

    Raises:
        UserError: the policy predicts what is not a number.
    """
    stream = Stream(loaded.policy, [prompt], loaded.precision)
    predicted = np.concatenate([stream.step(frame[None]) for frame in frames])
    if not np.isfinite(predicted).all():
        raise UserError(
            "the policy predicts values that are not finite; try `--precision fp32`, or train it "
            "again"
        )
    return predicted


def description_of(folder: Path) -> PolicyDescription:
    """Read a policy's ``policy.json``; whether it was changed is not checked.

    Raises:
        UserError: the folder is no policy.
    """
    if not (folder / DESCRIPTION).is_file():
        raise UserError(
            f"{folder}: no policy; expected a folder with {DESCRIPTION}, such as "
            "results/experiments/lora/seed0/policy"
        )
    return read_description(folder)


def images_of(described: PolicyDescription) -> Images:
    """Return how the frames of a policy's training were made, as its ``policy.json`` says."""
    return Images(resize=described.images.resize, color=described.images.color)


def open_backbone(folder: Path, described: PolicyDescription, path: Path | None) -> Checkpoint:
    """Read the backbone of a policy, every byte of it that lies on this machine.

    Args:
        folder: the policy's folder.
        described: its ``policy.json``.
        path: a ``backbone.json``, a folder with one, or a plain checkpoint folder; by default the
            ``backbone.json`` in the results that the policy lies in.

    Raises:
        UserError: there is none, or its files are not those that ``backbone.json`` describes.
    """
    if path is None:
        # results/experiments/EXPERIMENT/RUN/policy
        parts = ("backbones", described.backbone.name, BACKBONE)
        places = (results.joinpath(*parts) for results in folder.resolve().parents)
        path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise UserError(
            f"{folder}: its backbone {described.backbone.name!r} does not lie beside it; name its "
            "folder with `--backbone FOLDER`"
        )
    description = path / BACKBONE if path.is_dir() else path
    if not description.is_file():
        if not path.is_dir():
            raise UserError(f"{path}: no such folder; expected the backbone's checkpoint")
        return Checkpoint.of_folder(path)
    checkpoint = Checkpoint.read(description)
    source = Path(checkpoint.source).expanduser()
    if checkpoint.revision is None and source != description.parent:
        for name, file in checkpoint.files.items():
            file.verify(source / name, "use the checkpoint that the policy was trained on")
    return checkpoint

"""Load a policy from its folder, wherever it lies, and predict with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
from mobile_vla.robot.prompts import Prompts

BACKBONE = "backbone.json"


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


AS_TRAINED = PolicyOptions()


@dataclass(frozen=True)
class RobotPolicy:
    """A policy in evaluation mode on this machine's device, and how its inputs are made."""

    policy: Policy
    prompts: Prompts
    precision: str
    """Resolved number format of the forward pass."""
    images: Images
    """How its frames were made of the training episodes' images."""
    target: Literal["next", "current"]
    """The step of a chunk's first action: that after the newest frame, or that of it."""
    described: PolicyDescription
    """The content of its ``policy.json``."""

    @property
    def ahead(self) -> list[int]:
        """Steps from the newest frame to each of the chunk's C actions."""
        first = 1 if self.target == "next" else 0
        return list(range(first, first + self.policy.settings.chunk))


def load_robot_policy(
    folder: Path, backbone: Path | None = None, options: PolicyOptions = AS_TRAINED
) -> RobotPolicy:
    """Check and load a policy.

    Args:
        folder: the policy's folder.
        backbone: the backbone's folder; without one, that of the results which the policy lies in.
        options: how it is run.

    Raises:
        UserError: the folder is no policy, or something is not as it was in training.
    """
    described = description_of(folder)
    checkpoint = open_backbone(backbone or backbone_of(folder, described))
    torch.set_num_threads(options.threads or described.threads)
    device = default_device()
    resolved = resolve(options.precision or described.precision, device)
    policy = Policy.from_pretrained(folder, checkpoint, resolved).to(device)
    return RobotPolicy(
        policy=policy,
        prompts=Prompts(policy, checkpoint.processor(), options.allow_other_prompts),
        precision=resolved,
        images=images_of(described),
        target=described.windows.target,
        described=described,
    )


def predict_drive(loaded: RobotPolicy, frames: np.ndarray, prompt: int) -> np.ndarray:
    """Predict at each frame of a drive, from it and those before.

    Args:
        loaded: the policy.
        frames: (T, 224, 224, 3) uint8, RGB.
        prompt: place of the prompt in the policy's table.

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


def open_backbone(path: Path) -> Checkpoint:
    """Find a backbone, and read every byte of it that lies on this machine.

    Args:
        path: a ``backbone.json``, a folder with one, or a plain checkpoint folder.

    Raises:
        UserError: there is none, or its files are not those that ``backbone.json`` describes.
    """
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


def backbone_of(folder: Path, described: PolicyDescription) -> Path:
    """Return the ``backbone.json`` in the results that a policy lies in.

    Raises:
        UserError: it lies elsewhere.
    """
    name = described.backbone.name
    # results/experiments/EXPERIMENT/RUN/policy
    for results in folder.resolve().parents:
        description = results / "backbones" / name / BACKBONE
        if description.is_file():
            return description
    raise UserError(
        f"{folder}: its backbone {name!r} does not lie beside it; name its folder with "
        "`--backbone FOLDER`"
    )

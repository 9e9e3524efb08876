"""A run's data and policy, put together from the files of the earlier stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Precision
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.config.windows import Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import Role, load_split
from mobile_vla.data.windows import WindowTable, make_windows
from mobile_vla.errors import UserError
from mobile_vla.features.store import open_rows
from mobile_vla.files import sha256_of
from mobile_vla.machine import default_device
from mobile_vla.model.adapter import load_backbone
from mobile_vla.model.folder import read_folder
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.prompts import PromptTable, PromptTokens
from mobile_vla.training.batches import Samples, epoch_batches
from mobile_vla.training.memory import Load


@dataclass(frozen=True)
class RunData:
    """What a run reads: its backbone, and its windows by role."""

    backbone: Checkpoint
    precision: str
    """Resolved number format of the forward pass on this machine."""
    dataset: Dataset
    roles: dict[Role, tuple[int, ...]]
    prompts: PromptTable
    samples: dict[Role, Samples]
    identity: dict[str, str]
    """Name of the dataset and digests of its manifest and split."""


def load_data(
    policy: PolicySettings,
    windows: Windows,
    precision: Precision,
    *,
    manifest: Path,
    actions: Path,
    split: Path,
    backbone: Path,
    features: Path | None,
) -> RunData:
    """Open the backbone, the dataset, its split, and the windows of each role.

    Raises:
        UserError: no episode of a role is long enough, prompts do not tell scenarios apart, or
            files do not belong together.
    """
    checkpoint = Checkpoint.read(backbone)
    resolved = resolve(precision, default_device())
    dataset = Dataset.load(manifest, actions)
    roles = load_split(split, dataset)
    prompts = PromptTable.of(
        policy.prompt,
        [episode.scenario for episode in dataset.episodes],
        [episode.name for episode in dataset.episodes],
    )
    rows = open_rows(dataset, checkpoint.digest, resolved, features)
    tables: dict[Role, WindowTable] = {
        role: make_windows(dataset, episodes, windows) for role, episodes in roles.items()
    }
    samples = {
        role: Samples(dataset, table, rows, prompts, policy.actions)
        for role, table in tables.items()
    }
    identity = {
        "dataset": dataset.name,
        "manifest": dataset.digest,
        "split": sha256_of(split),
    }
    return RunData(checkpoint, resolved, dataset, roles, prompts, samples, identity)


def build_policy(
    settings: PolicySettings, seed: int, data: RunData, init_from: Path | None
) -> Policy:
    """Build a run's policy, fresh from its seed or from another run's weights.

    Raises:
        UserError: the other policy was trained on another split, so that it may have seen this
            one's validation or test episodes.
    """
    backbone = data.backbone
    kosmos = load_backbone(backbone, settings, data.precision)
    policy = Policy(settings, kosmos, backbone.processor(), data.prompts.texts, seed)
    if init_from is not None:
        described, tensors = read_folder(init_from.parent, backbone)
        other = described["data"]
        if other != data.identity:
            raise UserError(
                f"{init_from} (data): trained on dataset {other['dataset']!r} with another "
                f"manifest or split than {data.identity['dataset']!r} has now, so it may have seen "
                "episodes that are scored here; train both on the same dataset and split"
            )
        policy.load_trained(tensors)
    return policy


def load_of(settings: TrainSettings, data: RunData) -> Load:
    """Return what the run's largest step has to hold, before the backbone is loaded."""
    training, table = settings.training, data.samples["train"].table
    frames = max(
        len(np.unique(table.frames[batch]))
        for epoch in range(training.epochs)
        for batch in epoch_batches(table, training.batch_size, training.order, settings.seed, epoch)
    )
    return Load(
        frames=frames,
        windows=min(training.batch_size, len(table)),
        tokens=longest_prompt(data),
        accumulation=training.accumulation,
        precision=data.precision,
        checkpointing=training.gradient_checkpointing,
        cut=settings.policy.cut,
    )


def longest_prompt(data: RunData) -> int:
    """Return the number of tokens of the longest prompt, with image and action token."""
    backbone = data.backbone
    latents = backbone.config().latent_query_num
    return int(PromptTokens.of(data.prompts.texts, backbone.processor(), latents).action.max()) + 1

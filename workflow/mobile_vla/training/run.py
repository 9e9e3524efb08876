"""A run's data and policy, put together from the files of the earlier stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Precision
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.windows import Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import Role, Roles, load_split
from mobile_vla.data.windows import WindowTable, make_windows
from mobile_vla.errors import UserError
from mobile_vla.features.store import open_rows
from mobile_vla.files import sha256_of
from mobile_vla.machine import default_device
from mobile_vla.model.folder import read_folder
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.prompts import PromptTable
from mobile_vla.training.batches import Samples


@dataclass(frozen=True)
class RunData:
    """What a run reads: its backbone, and its windows by role."""

    backbone: Checkpoint
    precision: str
    """Resolved number format of the forward pass on this machine."""
    dataset: Dataset
    roles: Roles
    prompts: PromptTable
    samples: dict[Role, Samples]
    identity: dict[str, Any]
    """See :func:`identity_of`."""


def load_data(
    policy: PolicySettings,
    windows: Windows,
    precision: Precision,
    *,
    fold: int,
    subset: int | None,
    manifest: Path,
    actions: Path,
    split: Path,
    backbone: Path,
    features: Path | None,
) -> RunData:
    """Open the backbone, the dataset, a fold of its split, and the windows of each role.

    Raises:
        UserError: no episode of a role is long enough, prompts do not tell scenarios apart, or
            files do not belong together.
    """
    checkpoint = Checkpoint.read(backbone)
    resolved = resolve(precision, default_device())
    dataset = Dataset.load(manifest, actions)
    roles = load_split(split, dataset, fold, subset)
    prompts = prompts_of(policy, dataset)
    rows = open_rows(dataset, checkpoint.digest, resolved, features)
    tables: dict[Role, WindowTable] = {
        role: make_windows(dataset, episodes, windows) for role, episodes in roles.of.items()
    }
    samples = {
        role: Samples(dataset, table, rows, prompts, policy.actions)
        for role, table in tables.items()
    }
    identity = identity_of(dataset, split, fold, subset)
    return RunData(checkpoint, resolved, dataset, roles, prompts, samples, identity)


def prompts_of(policy: PolicySettings, dataset: Dataset) -> PromptTable:
    """Return the prompts of a dataset's episodes.

    Raises:
        UserError: prompts do not tell scenarios apart, or names do not say what they need.
    """
    return PromptTable.of(
        policy.prompt,
        [episode.scenario for episode in dataset.episodes],
        [episode.name for episode in dataset.episodes],
    )


def identity_of(dataset: Dataset, split: Path, fold: int, subset: int | None) -> dict[str, Any]:
    """Return what a policy is trained on: dataset, digests of manifest and split, fold, subset."""
    return {
        "dataset": dataset.name,
        "manifest": dataset.digest,
        "split": sha256_of(split),
        "fold": fold,
        "subset": subset,
    }


def build_policy(
    settings: PolicySettings, seed: int, data: RunData, init_from: Path | None
) -> Policy:
    """Build a run's policy, fresh from its seed or from another run's weights.

    Raises:
        UserError: the other policy was trained on another split or fold, so that it may have seen
            this one's validation or test episodes. Another subset of the same training episodes
            is allowed.
    """
    backbone = data.backbone
    policy = Policy(settings, backbone.model(), backbone.processor(), data.prompts.texts, seed)
    if init_from is not None:
        described, tensors = read_folder(init_from.parent, backbone)
        other = described["data"]
        if {**other, "subset": None} != {**data.identity, "subset": None}:
            raise UserError(
                f"{init_from} (data): trained on dataset {other['dataset']!r} with another "
                f"manifest, split or fold than {data.identity['dataset']!r} has now, so it may "
                "have seen episodes that are scored here; train both on the same dataset and split"
            )
        policy.load_trained(tensors)
    return policy

"""A run's data and policy, put together from the files of the earlier stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.augment import Photometric
from mobile_vla.config.features import Cut, Precision
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.windows import Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.prompts import PromptTable
from mobile_vla.data.roles import Role, Roles, load_split
from mobile_vla.data.windows import WindowTable, make_windows
from mobile_vla.errors import UserError
from mobile_vla.features.store import BothViews, Rows, open_rows
from mobile_vla.files import sha256_of
from mobile_vla.machine import default_device
from mobile_vla.model.adapter import load_backbone
from mobile_vla.model.folder import read_folder
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.training.batches import Samples
from mobile_vla.training.labels import Labels


@dataclass(frozen=True)
class RunData:
    """What a run reads: its backbone, and its windows by role."""

    backbone: Checkpoint
    precision: str
    """Resolved number format of the forward pass on this machine."""
    dataset: Dataset
    roles: Roles
    prompts: PromptTable
    fixed: dict[str, float]
    """Dimensions that are not learnt, with the constant that they have in the training episodes."""
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
    mirrored: Path | None = None,
    photometric: Photometric | None = None,
) -> RunData:
    """Open the backbone, the dataset, a fold of its split, and the windows of each role.

    Args:
        policy: the policy's settings.
        windows: how episodes become windows.
        precision: number format of the forward pass.
        manifest: the dataset's ``manifest.json``.
        actions: the dataset's ``actions.npy``.
        split: the dataset's ``split.json``.
        backbone: the ``backbone.json``.
        features: the JSON of the features; none at the cut ``pixels``.
        mirrored: the same of the mirror images. With it, or at ``pixels`` by the policy's setting,
            the training windows are followed by their mirror images.
        photometric: how far the pictures of training windows may be changed.

    Raises:
        UserError: no episode of a role is long enough, prompts do not tell scenarios apart, no
            dimension is left to learn, or files do not belong together.
    """
    checkpoint = Checkpoint.read(backbone)
    resolved = resolve(precision, default_device())
    dataset = Dataset.load(manifest, actions)
    roles = load_split(split, dataset, fold, subset)
    labels = Labels.of(dataset, policy)
    rows = open_rows(dataset, checkpoint.digest, resolved, features, "plain")
    tables: dict[Role, WindowTable] = {
        role: make_windows(dataset, episodes, windows) for role, episodes in roles.of.items()
    }
    samples = {
        role: Samples(dataset, table, rows, labels, policy.actions.scale)
        for role, table in tables.items()
    }
    learnt: Rows = rows
    table = tables["train"]
    if policy.mirror and (policy.cut == "pixels" or mirrored is not None):
        flipped = open_rows(dataset, checkpoint.digest, resolved, mirrored, "mirrored")
        learnt = BothViews(rows, flipped, dataset.rows)
        table = table.with_mirror_images(dataset.rows)
    samples["train"] = Samples(dataset, table, learnt, labels, policy.actions.scale, photometric)
    return RunData(
        backbone=checkpoint,
        precision=resolved,
        dataset=dataset,
        roles=roles,
        prompts=labels.prompts,
        fixed=labels.constants(dataset, roles.of["train"], policy.actions),
        samples=samples,
        identity=identity_of(dataset, split, fold, subset),
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
    settings: PolicySettings,
    seed: int,
    data: RunData,
    init_from: Path | None = None,
    cut: Cut | None = None,
) -> Policy:
    """Build a run's policy, fresh from its seed or from another run's weights.

    Args:
        settings: the policy's settings.
        seed: the run's seed.
        data: what the run reads.
        init_from: the ``policy.json`` to start from.
        cut: where the forward pass will begin, by default where the run's stored features were
            taken: nothing that lies before is loaded, not even the vision tower.

    Raises:
        UserError: the other policy was trained on another split or fold, so that it may have seen
            this one's validation or test episodes. Another subset of the same training episodes
            is allowed.
    """
    backbone = data.backbone
    kosmos = load_backbone(backbone, settings, data.precision, cut or settings.cut)
    processor = backbone.processor()
    policy = Policy(settings, kosmos, processor, data.prompts.texts, seed, data.fixed)
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

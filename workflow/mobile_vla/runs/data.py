"""A run's data, put together from the files of the earlier stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Precision
from mobile_vla.config.model import Photometric, RunSettings
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.prompts import PromptTable
from mobile_vla.data.result import Role
from mobile_vla.data.roles import Roles, load_split
from mobile_vla.data.windows import WindowTable, make_windows
from mobile_vla.features.store import JoinedRows, Rows, open_rows
from mobile_vla.files import sha256_of
from mobile_vla.machine import default_device
from mobile_vla.model.precision import resolve
from mobile_vla.model.result import TrainedOn
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.samples import Samples


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """The data and the backbone of a run."""

    manifest: Path  # `manifest.json`; the frames lie in `episodes/` beside it
    actions: Path
    split: Path
    backbone: Path  # `backbone.json`
    checkpoint: Path | None = None  # the folder of a local checkpoint, as it lies now
    # JSON of the features, one for each dataset of a mixture; none where frames are read
    features: list[Path] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TrainingInputs(RunInputs):
    """What a run is trained on."""

    # JSON of the mirror images' features, if it learns from them
    mirrored: list[Path] = field(default_factory=list)
    init_from: Path | None = None  # the `policy.json` to start from


@dataclass(frozen=True, kw_only=True)
class PolicyInputs(RunInputs):
    """A trained policy, and what it was trained on."""

    policy: Path  # `policy.json`


@dataclass(frozen=True, kw_only=True)
class OtherDatasetInputs(PolicyInputs):
    """A trained policy, and another dataset than that of its training."""

    on_manifest: Path
    on_actions: Path
    on_split: Path
    on_features: list[Path] = field(default_factory=list)  # JSON; none at the cut `pixels`


@dataclass(frozen=True)
class RunData:
    """What a run reads: its backbone, and its windows by role."""

    backbone: Checkpoint
    precision: str  # resolved number format on this machine
    dataset: Dataset
    roles: Roles
    prompts: PromptTable
    fixed: dict[str, float]  # dimensions that are not learnt, with their constants
    samples: dict[Role, Samples]
    trained_on: TrainedOn

    @property
    def scored_on(self) -> Role:
        """The role whose episodes are scored: ``val`` only where the split has no test episodes."""
        return "test" if self.roles.of["test"] else "val"


def open_run(
    settings: RunSettings,
    inputs: RunInputs,
    precision: Precision,
    photometric: Photometric | None = None,
    weights: Mapping[str, float] | None = None,
) -> RunData:
    """Open the backbone, the dataset, a fold of its split, and the windows of each role.

    Where the policy learns from mirror images and they can be read, the training windows are
    followed by their mirror images: at the cut ``pixels``, or with ``mirrored`` features.
    ``weights`` are those of a mixture's datasets, by which an epoch draws training windows.

    Raises:
        UserError: no episode of a role is long enough, prompts do not tell scenarios apart, no
            dimension is left to learn, or files do not belong together.
    """
    policy = settings.policy
    checkpoint = Checkpoint.read(inputs.backbone, inputs.checkpoint)
    resolved = resolve(precision, default_device())
    dataset = Dataset.load(inputs.manifest, inputs.actions)
    roles = load_split(inputs.split, dataset, settings.fold, settings.subset)
    labels = Labels.of(dataset, policy)
    rows = open_rows(dataset, checkpoint.digest, resolved, inputs.features, "plain")
    tables: dict[Role, WindowTable] = {
        role: make_windows(dataset, episodes, settings.windows)
        for role, episodes in roles.of.items()
    }
    samples = {
        role: Samples(dataset, table, rows, labels, policy.actions.full)
        for role, table in tables.items()
    }
    learnt: Rows = rows
    table = tables["train"]
    mirrored = inputs.mirrored if isinstance(inputs, TrainingInputs) else []
    if policy.mirror and (policy.cut == "pixels" or mirrored):
        flipped = open_rows(dataset, checkpoint.digest, resolved, mirrored, "mirrored")
        learnt = JoinedRows((rows, dataset.rows), (flipped, dataset.rows))
        table = table.with_mirror_images(dataset.rows)
    table = table.weighted(dataset, weights or {})
    samples["train"] = Samples(dataset, table, learnt, labels, policy.actions.full, photometric)
    return RunData(
        backbone=checkpoint,
        precision=resolved,
        dataset=dataset,
        roles=roles,
        prompts=labels.prompts,
        fixed=labels.constants(dataset, roles.of["train"], policy.actions),
        samples=samples,
        trained_on=trained_on(dataset, inputs.split, settings),
    )


def trained_on(dataset: Dataset, split: Path, settings: RunSettings) -> TrainedOn:
    """Return what a policy of a run is trained on."""
    return TrainedOn(
        dataset=dataset.name,
        manifest=dataset.digest,
        split=sha256_of(split),
        fold=settings.fold,
        subset=settings.subset,
        members=tuple(part.name for part in dataset.parts) if dataset.is_mixture else (),
    )

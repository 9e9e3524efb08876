"""The files of earlier stages that a stage of a run reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """The data and the backbone of a run."""

    manifest: Path
    """The dataset's ``manifest.json``; the frames lie in ``episodes/`` beside it."""
    actions: Path
    """The dataset's ``actions.npy``."""
    split: Path
    """The dataset's ``split.json``."""
    backbone: Path
    """The ``backbone.json``."""
    features: Path | None = None
    """The JSON of the features that the run reads; none where it reads the frames."""


@dataclass(frozen=True, kw_only=True)
class TrainingInputs(RunInputs):
    """What a run is trained on."""

    mirrored: Path | None = None
    """The JSON of the mirror images' features, where the run learns from them."""
    init_from: Path | None = None
    """The ``policy.json`` to start from."""


@dataclass(frozen=True, kw_only=True)
class PolicyInputs(RunInputs):
    """A trained policy, and what it was trained on."""

    policy: Path
    """The run's ``policy.json``."""


@dataclass(frozen=True, kw_only=True)
class OtherDatasetInputs(PolicyInputs):
    """A trained policy, and another dataset than that of its training."""

    on_manifest: Path
    """The ``manifest.json`` of the dataset that is scored."""
    on_actions: Path
    """That dataset's ``actions.npy``."""
    on_split: Path
    """That dataset's ``split.json``."""
    on_features: Path | None = None
    """The JSON of its features; none at the cut ``pixels``, where frames are read."""

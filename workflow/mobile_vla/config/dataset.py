"""A dataset as the user writes it: simulated or recorded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mobile_vla.config.audit import OnWarning
from mobile_vla.config.base import Settings
from mobile_vla.config.data import OnError
from mobile_vla.config.findings import Accepted
from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import Simulation
from mobile_vla.config.split import Holdout, Split
from mobile_vla.config.windows import Actions, Dimension


class _Dataset(Settings):
    """What every dataset declares."""

    images: Images = Images()
    """How raw images become frames."""
    actions: Actions = Actions()
    """Which velocities are predicted, and their scale."""
    split: Split = Holdout()
    """Who trains, who selects the checkpoint and who is scored."""
    on_error: OnError = "fail"
    """What a broken episode does: stop the workflow, or be left out and listed."""
    on_warning: OnWarning = "keep"
    """What an episode with a warning of the audit does: be used, or be left out and listed."""
    accept: Accepted = Field(default_factory=dict)
    """Warnings and infos that you have looked at, each with a reason; docs/audit.md lists all."""


class SimulatedDataset(_Dataset):
    """Episodes from the simulator, in the format of recorded ones."""

    kind: Literal["simulated"] = "simulated"
    """Says that the simulator makes this dataset."""
    simulation: Simulation = Simulation()
    """How many scenes, and their world."""


class RecordedDataset(_Dataset):
    """A folder of recorded HDF5 episodes."""

    kind: Literal["recorded"]
    """Says that the episodes are files of yours."""
    path: str
    """The folder of the episodes, absolute or relative to the project."""
    pattern: str = "*.h5"
    """Which of its files are episodes; ``**/*.h5`` looks into subfolders too."""


class LerobotDataset(_Dataset):
    """A LeRobotDataset v3 with its images in Parquet files; needs the package pyarrow."""

    kind: Literal["lerobot"]
    """Says that the episodes are those of a LeRobotDataset."""
    path: str
    """Its folder, absolute or relative to the project: that which holds ``meta/info.json``."""
    camera: str | None = None
    """The feature that holds the images, such as ``observation.images.front``; needed where there
    are several cameras."""
    columns: Annotated[dict[Dimension, Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = (
        None
    )
    """Where each velocity stands in the feature ``action``; needed where its names do not say.
    What is not named is 0."""


Dataset = Annotated[
    SimulatedDataset | RecordedDataset | LerobotDataset, Field(discriminator="kind")
]

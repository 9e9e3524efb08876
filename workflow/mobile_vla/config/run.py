"""Settings that the stages of a run share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Settings
from mobile_vla.config.features import Precision
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.windows import Windows


class RunSettings(Settings):
    """One run of one experiment: its data, its windows and its policy."""

    experiment: str
    run: str
    seed: int
    fold: Annotated[int, Field(ge=0)] = 0
    """The fold of the dataset's split."""
    subset: Annotated[int, Field(ge=1)] | None = None
    """How many of the fold's training episodes are used; None: all."""
    windows: Windows
    policy: PolicySettings

    @property
    def title(self) -> str:
        """Name of the run in messages."""
        return f"{self.experiment} {self.run}"


class TrainedRunSettings(RunSettings):
    """A run whose policy is trained, and how it is computed with."""

    precision: Precision
    """Number format of the training, which that of a test must be."""
    threads: Annotated[int, Field(ge=1)]
    """CPU threads; results depend on them in their last bits."""

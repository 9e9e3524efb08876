"""Settings of ``split``: which episodes train, select the checkpoint, and are scored."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mobile_vla.config.base import Settings
from mobile_vla.config.scenario import ScenarioKey


class Split(Settings):
    """Shares of the episodes for training, checkpoint selection and scoring."""

    train: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Share of the episodes that are trained on."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share that selects the checkpoint."""
    test: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share that is scored. With 0, val is scored too: every number says so, and no verdict."""
    seed: int = 0
    """Seed of the assignment; an episode's role depends on it and on the episode's cell alone."""
    stratify_by: tuple[ScenarioKey, ...] = ("side", "distance", "style")
    """Each combination of these is a cell, and each cell is split in the same shares."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(
                f"train {self.train:g} + val {self.val:g} + test {self.test:g} must be 1, found "
                f"{total:g}; without a test set say `test: 0`"
            )
        return self


class SplitSettings(Settings):
    """What ``split`` is given."""

    dataset: str
    split: Split

"""Settings of ``split``: which episodes train, select the checkpoint, and are scored."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mobile_vla.config.base import Fraction, Seed, Settings, Share, Texts
from mobile_vla.conventions import KNOWN_VALUES, ScenarioKey


class _Split(Settings):
    """What every kind of split declares."""

    seed: Seed = 0
    """Seed of the assignment; a group's role depends on it, on the group and on its cell alone."""
    stratify_by: tuple[ScenarioKey, ...] = ("side", "distance", "style")
    """Each combination of these is a cell, and each cell is split in the same shares."""


class Holdout(_Split):
    """One fold: shares for training, checkpoint selection and scoring."""

    kind: Literal["holdout"] = "holdout"
    """Says that the episodes are split once."""
    train: Share = 0.7
    """Share of the episodes that are trained on."""
    val: Share = 0.15
    """Share that selects the checkpoint."""
    test: Fraction = 0.15
    """Share that is scored; 0 where only train and val are named, and are the whole. With 0, val is
    scored too: every number says so, and no verdict."""

    @property
    def count(self) -> int:
        """Number of folds."""
        return 1

    @model_validator(mode="before")
    @classmethod
    def _no_test_set(cls, data: Any) -> Any:
        """Let ``{train: 0.8, val: 0.2}`` mean what it says."""
        if isinstance(data, dict) and {"train", "val"} <= data.keys() and "test" not in data:
            try:
                whole = abs(float(data["train"]) + float(data["val"]) - 1) <= 1e-9
            except (TypeError, ValueError):
                return data  # each is refused by itself
            return {**data, "test": 0.0} if whole else data
        return data

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(
                f"train {self.train:g} + val {self.val:g} + test {self.test:g} must be 1, found "
                f"{total:g}; without a test set say `test: 0`"
            )
        return self


class KFold(_Split):
    """As many folds as are asked for; each episode is tested in exactly one of them."""

    kind: Literal["kfold"]
    """Says that every episode is tested once."""
    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    """Number of folds K; each tests 1/K of the episodes."""
    val: Share = 0.15
    """Share of all episodes that selects a fold's checkpoint; the rest trains."""

    @property
    def count(self) -> int:
        """Number of folds."""
        return self.folds

    @model_validator(mode="after")
    def _trains(self) -> Self:
        if self.val + 1 / self.folds > 1 - 1e-9:
            raise ValueError(
                f"val {self.val:g} and a test share of 1/{self.folds} leave nothing to train on; "
                f"expected a val below {1 - 1 / self.folds:g}"
            )
        return self


class LeaveOneOut(_Split):
    """A fold for each value of a scenario key: tested on that value, trained on the others."""

    kind: Literal["leave_one_out"]
    """Says that a value of the scenario is kept from training."""
    key: ScenarioKey
    """The part of the scenario that is held out, such as ``side``."""
    values: Texts | None = None
    """The values that are held out, a fold each; null: all that the scheme of names knows."""
    val: Share = 0.2
    """Share of the episodes that are not held out which selects the checkpoint."""

    @property
    def held_out(self) -> tuple[str, ...]:
        """The value that each fold holds out."""
        return KNOWN_VALUES[self.key] if self.values is None else self.values

    @property
    def possible(self) -> tuple[str, ...]:
        """Every value that the key may have here, in an order that does not depend on data."""
        known = KNOWN_VALUES[self.key]
        return (*known, *sorted(set(self.held_out) - set(known)))

    @property
    def count(self) -> int:
        """Number of folds."""
        return len(self.held_out)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(set(self.held_out)) != len(self.held_out):
            raise ValueError(f"each value once, found {', '.join(self.held_out)}")
        for value in self.held_out:
            more = self.key == "obstacles" and re.fullmatch(r"[0-9]+box", value)
            if value not in KNOWN_VALUES[self.key] and not more:
                known = ", ".join(KNOWN_VALUES[self.key])
                raise ValueError(f"unknown value {value!r} of {self.key}; there are {known}")
        return self


def _split_kind(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "holdout" if kind is None else str(kind)


Split = Annotated[
    Annotated[Holdout, Tag("holdout")]
    | Annotated[KFold, Tag("kfold")]
    | Annotated[LeaveOneOut, Tag("leave_one_out")],
    Discriminator(_split_kind),
]


class SplitSettings(Settings):
    """What ``split`` is given."""

    dataset: str
    split: Split

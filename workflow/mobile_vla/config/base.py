"""What all settings share: strict, frozen, and with one canonical text."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mobile_vla.files import canonical_json

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]  # a share that may be 0
Texts = Annotated[tuple[str, ...], Field(min_length=1)]


class Settings(BaseModel):
    """Settings that know every one of their keys and cannot be changed once read.

    Unknown keys are errors. Numbers may be quoted in the YAML file or written as ``1e-4``: what
    counts is the value, so that spelling alone never makes a stage run again.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, data: Any) -> Any:
        """Refuse ``epochs: yes``, which pydantic would take for 1."""
        if isinstance(data, dict):
            for key, value in data.items():
                field = cls.model_fields.get(str(key))
                if isinstance(value, bool) and field is not None and _is_number(field.annotation):
                    raise ValueError(f"{key}: found {str(value).lower()}, expected a number")
        return data

    @classmethod
    def part_of(cls, larger: Settings) -> Self:
        """Return these settings as others hold them, in fields of the same names."""
        return cls(**{name: getattr(larger, name) for name in cls.model_fields})

    def canonical(self) -> str:
        """Return the settings as canonical JSON: the text that a stage is tracked by."""
        return canonical_json(self.model_dump(mode="json"))


class Gathered(Settings):
    """Settings of a command that reads the results of all runs."""

    @abstractmethod
    def files(self, results: Path) -> list[Path]:
        """Return all that the command reads below the folder of all results."""


def _is_number(annotation: Any) -> bool:
    """Whether a field holds an int or float, be it optional, and no switch."""
    kinds = set(get_args(annotation)) or {annotation}
    return bool(kinds & {int, float}) and bool not in kinds

"""What all settings share: strict, frozen, and with one canonical text."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mobile_vla.files import canonical_json

# Each has an end: beyond it something would overflow, or not end, long after the plan.
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]  # a share that may be 0
Text = Annotated[str, Field(max_length=2000)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)]


def _place(text: str) -> str:
    """Refuse what can be no path on any machine, or names the home of nobody.

    Raises:
        ValueError: it is such a text.
    """
    try:
        Path(text).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        found = text if len(text) <= 60 else text[:57] + "…"
        raise ValueError(
            f"{found!r} can be no folder ({error}); expected one that is absolute or relative to "
            "the project"
        ) from None
    return text


Place = Annotated[str, AfterValidator(_place)]


class Settings(BaseModel):
    """Settings that know every one of their keys and cannot be changed once read.

    Unknown keys are errors. Numbers may be quoted in the YAML file or written as ``1e-4``: what
    counts is the value, so that spelling alone never makes a stage run again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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

"""What a dataset's commands are in metres or radians a second."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mobile_vla.conventions import Dimension

PATTERN = r"^(\d+(\.\d+)? )?(m|rad)/s$"
Unit = Annotated[str, Field(json_schema_extra={"pattern": PATTERN})]
"""What one unit of a command is, such as ``0.2 m/s``; ``m/s`` is 1 of it."""


def unit_of(text: str) -> tuple[float, str]:
    """Return what one unit of a command is: how many of which unit."""
    factor, _, unit = text.rpartition(" ")
    return float(factor or 1), unit


def _fitting(units: dict[Dimension, Unit]) -> dict[Dimension, Unit]:
    """Refuse a unit that a dimension does not have.

    Raises:
        ValueError: it is another one, or nothing of it.
    """
    for name, text in units.items():
        expected = "rad/s" if name.startswith("angular") else "m/s"
        factor, unit = unit_of(text) if re.fullmatch(PATTERN, text) else (0.0, "")
        if unit != expected or factor == 0:
            raise ValueError(
                f"{name} is {text!r}; expected what one unit of a command is, such as "
                f"'0.2 {expected}'"
            )
    return units


Units = Annotated[dict[Dimension, Unit], AfterValidator(_fitting)]

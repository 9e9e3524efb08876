"""Settings of recorded files in other layouts: where in an HDF5 file an episode's parts stand."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from mobile_vla.config.base import Settings
from mobile_vla.conventions import ACTION_COLUMNS, Dimension

LONGEST = 500  # characters of a path
MOST_COLUMNS = 1000

_COLUMN = re.compile(r"(?P<place>[^\[\]]+)(?:\[(?P<column>[^\[\]]+)\])?")


def _where(text: str) -> str:
    """Refuse what is no path in an HDF5 file.

    Raises:
        ValueError: it is none.
    """
    if not text.strip("/") or "\0" in text or "[" in text or "]" in text:
        raise ValueError(f"found {text!r}, expected a path in the file, such as obs/front_image")
    return text


def _groups(text: str) -> str:
    """Refuse what is no pattern of groups, a level a name.

    Raises:
        ValueError: it is none.
    """
    if not text.strip("/") or "\0" in text or "**" in text:
        raise ValueError(
            f"found {text!r}, expected a pattern of groups, such as data/demo_*: a `*` stands for "
            "a part of one name"
        )
    return text


def velocity_place(text: str) -> tuple[str, int | str | None]:
    """Return the path and the column that ``path[column]`` says; None without a column."""
    found = _COLUMN.fullmatch(text)
    assert found is not None, text  # the settings hold no other
    column = found["column"]
    return found["place"], int(column) if column and column.isdecimal() else column


def _velocities(value: Any) -> str | dict[Dimension, str]:
    """Return a path, or the places of single velocities.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        return _where(value)
    if not isinstance(value, dict) or not value:
        raise ValueError(
            f"found {value!r}, expected the path of an array (T, 3), or a place for each velocity, "
            "such as linear_x: base_action[0]"
        )
    places: dict[Dimension, str] = {}
    for name, text in value.items():
        if name not in ACTION_COLUMNS:
            known = ", ".join(ACTION_COLUMNS)
            raise ValueError(f"found the velocity {name!r}, expected one of {known}")
        parts = _COLUMN.fullmatch(text) if isinstance(text, str) else None
        if parts is None or not parts["place"].strip("/") or len(text) > LONGEST:
            raise ValueError(
                f"found {text!r} for {name}, expected a path with a column, such as "
                "base_action[0], or a path alone"
            )
        column = velocity_place(text)[1]
        if isinstance(column, int) and column > MOST_COLUMNS:
            raise ValueError(f"found {text!r} for {name}, expected at most {MOST_COLUMNS} columns")
        places[name] = text
    return places


_PLACE: dict[str, Any] = {"type": "string", "minLength": 1}
_VELOCITIES: dict[str, Any] = {
    "anyOf": [
        _PLACE,
        {
            "type": "object",
            "properties": dict.fromkeys(ACTION_COLUMNS, _PLACE),
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}

Where = Annotated[str, Field(max_length=LONGEST), AfterValidator(_where)]
Groups = Annotated[str, Field(max_length=LONGEST), AfterValidator(_groups)]
Velocities = Annotated[
    str | dict[Dimension, str], PlainValidator(_velocities), WithJsonSchema(_VELOCITIES)
]


class Fields(Settings):
    """Where an episode's parts stand in files that the collector did not write.

    Paths begin at the episode's group, or with ``/`` at the top of the file.
    """

    episodes: Groups | None = None
    """Groups of a file that are an episode each, such as ``data/demo_*``; without it a file is."""
    images: Where
    """One camera's images: (T, H, W, 3) uint8, or T JPEG or PNG files."""
    actions: Velocities
    """Floating-point numbers (T, 3) in the order linear_x, linear_y, angular_z; or a place for each
    velocity, such as ``linear_x: base_action[0]``, the rest being 0."""
    instruction: Where | None = None
    """A text; ``@NAME`` is an attribute, of the episode's group or ``GROUP@NAME`` of another, and
    ``@NAME/KEY`` an entry of one that holds JSON."""
    state: Where | None = None
    """Floating-point numbers (T, S), the robot's state: kept and exported, and not trained on."""

"""Read names and numbers in the plain values of attributes, however a collector stored them."""

from __future__ import annotations

from typing import Any


def single(value: Any) -> Any:
    """Return the one value of a list whose entries are all equal; others as they are."""
    while isinstance(value, list) and value and all(entry == value[0] for entry in value):
        value = value[0]
    return value


def whole_number(value: Any) -> int | None:
    """Return the whole number that an attribute says: 18, 18.0, ``18``, ``18.0`` or [18].

    None where it says no whole number.
    """
    value = single(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if float(value).is_integer() else None

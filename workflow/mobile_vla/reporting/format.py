"""Numbers as text: as many digits as they are worth, with their units."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mobile_vla.texts import MISSING

MINUS = "−"
GLUE = "\u00a0"  # a space at which no line is broken: between a number and its unit
MOST_DECIMALS = 3  # of a share close to 100 %


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits, but never without its units' digit."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return _signed(f"{value:.{digits - 1}e}")
    rounded = float(f"{value:.{digits - 1}e}")  # 0.09996 becomes 0.1, and then 0.100
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    return _signed(f"{value:{',' if abs(value) >= 10_000 else ''}.{decimals}f}")


def aligned(values: Sequence[float | None], decimals: int | None = None) -> list[str]:
    """Return the numbers of a column, all with as many decimals, by default :func:`decimals_of`.

    What rounds to 0 has no sign.
    """
    places = decimals_of(values) if decimals is None else decimals
    return [
        MISSING if value is None else _signed(f"{round(value, places) + 0.0:,.{places}f}")
        for value in values
    ]


def decimals_of(values: Sequence[float | None]) -> int:
    """Return the decimals of a column: three digits of its smallest number.

    Of the largest there are at most four, so that a number near 0 makes no column wide.
    """
    known = [abs(value) for value in values if value]
    if not known:
        return 0
    smallest, largest = (2 - math.floor(math.log10(end(known))) for end in (min, max))
    return max(0, min(smallest, largest + 1))


def with_ends(
    found: Sequence[tuple[float | None, float | None, float | None]],
) -> list[tuple[str, str, str]]:
    """Return a column of values with the ends of their intervals, all with as many decimals."""
    decimals = decimals_of([value for value, *_ in found])
    columns = (aligned(column, decimals) for column in zip(*found, strict=True))
    return list(zip(*columns, strict=True)) if found else []


def percent(share: float | None, sign: bool = False) -> str:
    """Return a share of 1 as per cent, with one decimal where it is below 10 %.

    What rounds to 0 has no sign, and nothing below 100 % reads as 100 %.
    """
    if share is None:
        return MISSING
    value = 100 * share
    decimals = 1 if abs(value) < 9.95 or sign else 0
    while 99 < value < 100 and decimals < MOST_DECIMALS and float(f"{value:.{decimals}f}") == 100:
        decimals += 1
    rounded = float(f"{value:.{decimals}f}") + 0.0  # makes −0 a 0
    text = f"{rounded:{'+' if sign and rounded else ''}.{decimals}f}"
    return f"{_signed(text)}{GLUE}%"


def whole_percent(share: float | None) -> str:
    """Return a share of drives in whole per cent, as they are few; below 1 % with a decimal."""
    if share is not None and (share == 0 or 0.0095 <= share < 0.0995):
        return f"{100 * share:.0f}{GLUE}%"
    return percent(share)


def whole(n: int | None) -> str:
    """Return a whole number with its thousands separated."""
    return MISSING if n is None else f"{n:,}"


def parameters(n: int) -> str:
    """Return a number of parameters: ``1,664 M``, ``12.6 M``, ``43.1 k``."""
    if n >= 1_000_000_000:
        return f"{n / 1e6:,.0f}{GLUE}M"
    for factor, unit in ((1_000_000, "M"), (1_000, "k")):
        if n >= factor:
            return f"{number(n / factor)}{GLUE}{unit}"
    return str(n)


def size(n: int) -> str:
    """Return a number of bytes in decimal units: ``50.3 MB``."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n >= factor:
            return f"{number(n / factor)}{GLUE}{unit}"
    return f"{n}{GLUE}B"


def duration(seconds: float | None) -> str:
    """Return a time: ``13.0 ms``, ``0.850 s``, ``42.1 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds is None:
        return MISSING
    if 0 < seconds < 0.1:
        return f"{number(1000 * seconds)}{GLUE}ms"
    if seconds < 59.95:
        return f"{number(seconds)}{GLUE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{GLUE}min {rest:02d}{GLUE}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,}{GLUE}h {minutes:02d}{GLUE}min"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)

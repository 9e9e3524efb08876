"""What clients say: the body of ``POST /reset`` and the query of ``POST /step``."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Callable, Mapping

from mobile_vla.serving.web import RequestError

PICTURES = ("image/jpeg", "image/png")
RAW = "application/octet-stream"
COLORS = ("rgb", "bgr")

LONGEST_INSTRUCTION = 2000
LONGEST_PERIOD = 60.0  # seconds
OLDEST = 3600.0  # seconds that a picture may be said to be old

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TICKET = re.compile(r"[A-Z0-9]{1,20}")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ResetRequest:
    """The body of ``POST /reset``."""

    session: str
    """The robot's name."""
    period: float
    """Seconds between two pictures."""
    instruction: str | None
    drive: str | None
    """The robot's drive that ends by it."""
    ticket: str | None = None
    """Of a trial's drive."""

    @classmethod
    def of(cls, body: bytes) -> ResetRequest:
        """Read a body.

        Raises:
            RequestError: something of it is missing, unknown or not as it must be.
        """
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _malformed(f"the body is no JSON: {error}") from None
        if not isinstance(given, dict):
            raise _malformed(f"the body is JSON of {type(given).__name__}, expected an object")
        reader = _Reader(given, "the JSON body")
        found = cls(
            session=reader.take("session", _name),
            period=reader.take("period", _number(1e-3, LONGEST_PERIOD)),
            instruction=reader.take("instruction", _text, optional=True),
            drive=reader.take("drive", _drive, optional=True),
            ticket=reader.take("ticket", _ticket, optional=True),
        )
        reader.check_all_known()
        return found


@dataclass(frozen=True)
class StepRequest:
    """The query of ``POST /step``; the picture is the body."""

    drive: str
    step: int
    age: float
    """Seconds that the picture was old when it was sent."""
    kind: str
    """Content-Type of the picture."""
    width: int = 0
    height: int = 0
    color: str = "rgb"

    @classmethod
    def of(cls, query: Mapping[str, str], content_type: str) -> StepRequest:
        """Read a query.

        Raises:
            RequestError: something of it is missing, unknown or not as it must be.
        """
        kind = content_type.split(";")[0].strip().lower()
        reader = _Reader(query, "the query")
        drive = reader.take("drive", _drive)
        step = reader.take("step", _whole(0))
        age = reader.take("age", _number(0.0, OLDEST), optional=True) or 0.0
        if kind == RAW:
            size = {name: reader.take(name, _whole(1)) for name in ("width", "height")}
            found = cls(drive, step, age, kind, color=reader.take("color", _color), **size)
        elif kind in PICTURES:
            found = cls(drive, step, age, kind)
        else:
            raise RequestError(
                415,
                "unknown_type",
                f"found the Content-Type {kind[:100]!r}, expected {', '.join(PICTURES)} or {RAW}",
            )
        reader.check_all_known()
        return found


class _Reader:
    """Takes values by name, and knows which were not asked for."""

    def __init__(self, given: Mapping[str, Any], place: str):
        self.left, self.place = dict(given), place

    def take(self, name: str, read: Callable[[Any], Any], optional: bool = False) -> Any:
        if self.left.get(name) is None:
            self.left.pop(name, None)
            if optional:
                return None
            raise _malformed(f"{self.place} has no {name!r}")
        value = self.left.pop(name)
        try:
            return read(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise _malformed(
                f"{self.place} ({name}): found {str(value)[:100]!r}, {error}"
            ) from None

    def check_all_known(self) -> None:
        if self.left:
            raise _malformed(f"{self.place} has {min(self.left)[:100]!r}, which is not known")


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("expected 1 to 64 letters, digits, `_`, `.` or `-`")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_INSTRUCTION:
        raise ValueError(f"expected at most {LONGEST_INSTRUCTION} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("expected characters, and found half of one (a lone surrogate)") from None
    return value


def _drive(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("expected the `drive` that POST /reset answered")
    return value


def _color(value: Any) -> str:
    if value not in COLORS:
        raise ValueError("expected rgb or bgr")
    return str(value)


def _ticket(value: Any) -> str:
    if not isinstance(value, str) or not _TICKET.fullmatch(value.strip().upper()):
        raise ValueError("expected a ticket of the trial's schedule")
    return value.strip().upper()


def _number(least: float, most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        expected = f"expected a number from {least:g} to {most:g}"
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except ValueError:
            raise ValueError(expected) from None
        if not least <= number <= most:
            raise ValueError(expected)
        return number

    return read


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", str(value), re.ASCII) or int(value) < least:
            raise ValueError(f"expected a whole number from {least}")
        return int(value)

    return read


def _malformed(message: str) -> RequestError:
    return RequestError(400, "malformed", message)

"""What the figures say of themselves, as the ``figures`` stage wrote it."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.files import read_json
from mobile_vla.reporting.records import Record


class Caption(Record):
    """A figure's title, how to read it, and what it shows."""

    title: str
    caption: str
    alt: str


def read_captions(path: Path) -> dict[str, Caption]:
    """Read the captions by the figures' names.

    Raises:
        UserError: the file is missing or is not what the report reads.
    """
    return {name: Caption.checked(path, own) for name, own in read_json(path).items()}

"""Defects: what makes an episode unusable, found while its raw file is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Defect:
    """One breach of the episode contract.

    Args:
        code: short stable name, such as ``truncated``.
        place: where in the file, such as ``images, frame 12``.
        found: what stands there.
        expected: what should stand there.
        remedy: what to do about it.
    """

    code: str
    place: str
    found: str
    expected: str
    remedy: str

    def record(self) -> dict[str, str]:
        """Return the defect as an episode's facts and the manifest hold it."""
        return asdict(self)


class Rejected(Exception):  # noqa: N818  (the verdict on a file, not an error of the program)
    """The episode cannot be used; nothing more of it can be read."""

    def __init__(self, *defects: Defect):
        self.defects = list(defects)
        super().__init__(*defects)

    def __str__(self) -> str:
        return "; ".join(f"{defect.code} at {defect.place}" for defect in self.defects)

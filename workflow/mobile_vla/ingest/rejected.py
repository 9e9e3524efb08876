"""The exception that ends the reading of an unusable episode."""

from __future__ import annotations

from mobile_vla.ingest.result import Defect


class Rejected(Exception):  # noqa: N818  (the verdict on a file, not an error of the program)
    """An episode cannot be used; nothing more of it can be read."""

    def __init__(self, *defects: Defect):
        self.defects = list(defects)
        super().__init__(*defects)

    def __str__(self) -> str:
        return "; ".join(f"{defect.code} at {defect.place}" for defect in self.defects)

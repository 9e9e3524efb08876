"""What all settings share: strict, frozen, and with one canonical text."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from mobile_vla.files import canonical_json


class Settings(BaseModel):
    """Settings that know every one of their keys and cannot be changed once read.

    Unknown keys are errors. Numbers may be quoted in the YAML file or written as ``1e-4``: what
    counts is the value, so that spelling alone never makes a stage run again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def canonical(self) -> str:
        """Return the settings as canonical JSON: the text that a stage is tracked by."""
        return canonical_json(self.model_dump(mode="json"))

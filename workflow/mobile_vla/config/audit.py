"""Settings of the audit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mobile_vla.config.base import Settings
from mobile_vla.config.findings import Accepted
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows

OnWarning = Literal["keep", "quarantine"]


class Declared(Settings):
    """What a dataset declares of itself, and its data are held against."""

    actions: Actions = Actions()
    """The predicted dimensions and their scale."""
    color_settled: bool = False
    """Whether config.yaml says in which order colours are stored."""


class AuditedExperiment(Settings):
    """What an experiment asks of the dataset."""

    name: str
    windows: Windows
    prompt: Prompt


class AuditSettings(Settings):
    """What the ``audit`` stage is given."""

    dataset: str
    declared: Declared = Declared()
    on_warning: OnWarning = "keep"
    """Whether episodes with warnings are used: what is counted is what is used."""
    accept: Accepted = Field(default_factory=dict)
    """Findings that were looked at, each with a reason."""
    experiments: tuple[AuditedExperiment, ...] = ()
    """The experiments that use the dataset."""
    left_out: str = ""
    """Files that look like episodes and that the dataset's pattern does not match."""


class FlagSettings(Settings):
    """What the ``flags`` stage is given: no experiment's setting among it."""

    dataset: str
    declared: Declared = Declared()
    accepted: tuple[str, ...] = ()
    """Codes that do not quarantine, sorted; their reasons concern the audit alone."""

"""Settings of the audit."""

from __future__ import annotations

from mobile_vla.config.base import Settings
from mobile_vla.config.windows import Actions


class AuditSettings(Settings):
    """What the ``audit`` stage is given."""

    dataset: str
    actions: Actions
    """The predicted dimensions and the scale that the data is held against."""

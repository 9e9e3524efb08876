"""Settings of the jobs that note where a folder lies."""

from __future__ import annotations

from mobile_vla.config.base import Settings


class LocationSettings(Settings):
    """What ``locate_dataset`` and ``locate_backbone`` are given."""

    folder: str
    """The folder, as config.yaml names it."""

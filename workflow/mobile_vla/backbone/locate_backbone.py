"""The command ``locate_backbone``: note where a local checkpoint lies."""

from __future__ import annotations

from mobile_vla.config.location import LocationSettings
from mobile_vla.layout import BackboneLocationFiles
from mobile_vla.location import Location


def locate_backbone(settings: LocationSettings, outputs: BackboneLocationFiles) -> None:
    """Write the folder of a local checkpoint, which no result depends on."""
    Location(folder=settings.folder).write(outputs.location)

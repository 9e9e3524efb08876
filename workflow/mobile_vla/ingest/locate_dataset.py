"""The command ``locate_dataset``: note where a dataset's files lie."""

from __future__ import annotations

from mobile_vla.config.location import LocationSettings
from mobile_vla.layout import DatasetLocationFiles
from mobile_vla.location import Location


def locate_dataset(settings: LocationSettings, outputs: DatasetLocationFiles) -> None:
    """Write the folder of a recorded dataset or a LeRobotDataset, which no result depends on."""
    Location(folder=settings.folder).write(outputs.location)

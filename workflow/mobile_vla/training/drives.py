"""Choose whether an epoch's policy is driven."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from mobile_vla.config.training import TrainSettings
from mobile_vla.runs.data import RunData
from mobile_vla.training.trainer import Trainer


def drives_of(
    settings: TrainSettings, trainer: Trainer, data: RunData
) -> Callable[[], float] | None:
    """Return what drives a run's policy and returns the share of successes.

    None where the validation loss selects. Simulator and drivers are therefore imported by their
    module's name: an edit of them concerns no other run, such as one on recorded episodes.
    """
    if settings.drives is None:
        return None
    module = import_module("mobile_vla.training.scene_drives")
    drive: Callable[[], float] = module.SceneDrives(settings, trainer, data).success
    return drive

"""What an experiment with a sweep became: an experiment for each combination of its values."""

from __future__ import annotations

from typing import Any, Literal

from mobile_vla.config.base import Settings

Match = Literal["epochs", "optimizer_steps"]
NOT_MATCHED = ("dataset", "training", "training.epochs")
"""Swept settings that would give equal optimiser steps no meaning."""


class Member(Settings):
    """One combination of a sweep."""

    experiment: str
    values: dict[str, Any]
    """By swept setting."""


class Sweep(Settings):
    """An experiment that stands for several."""

    name: str
    keys: tuple[str, ...]
    """The swept settings' dotted names, sorted."""
    match: Match = "epochs"
    """What is the same for all combinations: the epochs, or the optimiser steps of the first."""
    members: tuple[Member, ...]
    """In the order of the values as listed, the last setting's changing fastest."""

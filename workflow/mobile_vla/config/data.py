"""Settings of ``manifest``: what a broken episode does."""

from __future__ import annotations

from typing import Literal

from mobile_vla.config.base import Settings

OnError = Literal["fail", "quarantine"]


class ManifestSettings(Settings):
    """What ``manifest`` is given."""

    dataset: str
    on_error: OnError


class MixSettings(Settings):
    """What ``mix_manifests`` and ``mix_splits`` are given: no weights, which training alone has."""

    dataset: str
    members: tuple[str, ...]
    """The mixture's datasets, in its order."""

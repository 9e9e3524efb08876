"""Settings of ``ingest``: how raw images become frames."""

from __future__ import annotations

from typing import Literal

from mobile_vla.config.base import Settings


class Images(Settings):
    """How raw camera images become frames."""

    resize: Literal["squeeze", "crop"] = "squeeze"
    """``squeeze``: the whole image, its aspect ratio changed. ``crop``: short side, centre kept."""
    color: Literal["rgb", "bgr"] = "rgb"
    """Colour order of the raw images; OpenCV collectors often store bgr."""


class IngestSettings(Settings):
    """What ``ingest`` is given for one episode: no experiment's setting among it."""

    dataset: str
    episode: str
    images: Images

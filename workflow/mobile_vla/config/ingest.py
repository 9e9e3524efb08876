"""Settings of ``ingest``: how raw images become frames."""

from __future__ import annotations

from typing import Literal, Self

from mobile_vla.config.base import Settings
from mobile_vla.config.fields import Fields
from mobile_vla.conventions import ScenarioKey

Color = Literal["rgb", "bgr"]
"""An order of colours."""


class Images(Settings):
    """How raw camera images become frames."""

    resize: Literal["squeeze", "crop"] = "squeeze"
    """``squeeze``: the whole image, its aspect ratio changed. ``crop``: short side, centre kept."""
    color: Color | None = None
    """Colour order of the raw images (OpenCV collectors often store bgr). Where it is not said,
    they are read as rgb and the audit looks whether that can be true."""

    def settled(self) -> Self:
        """Return these settings with the colour order that is read."""
        return self.model_copy(update={"color": self.color or "rgb"})


class IngestSettings(Settings):
    """What ``ingest`` is given for one episode: no experiment's setting among it."""

    dataset: str
    episode: str
    images: Images
    """With the colour order settled: saying that it is rgb reads nothing again."""
    fields: Fields | None = None
    """Where the parts of an episode stand; None for the collector's layout."""
    inside: str = ""
    """Path of the episode's group in a file that holds several."""
    scenario: dict[ScenarioKey, str] | None = None
    """What a table says of the episode; None: what its name says."""

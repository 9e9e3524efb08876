"""Error by where in the episode the action is."""

from __future__ import annotations

from mobile_vla.reporting.drawing.curves import error_along
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.material import Material


def error_by_frame(material: Material) -> Drawn:
    """Draw the figure: the error at each frame of the episode."""
    return error_along(material, "frame", "error_by_frame", "frame of the episode")

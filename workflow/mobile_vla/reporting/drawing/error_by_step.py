"""Error by how far ahead the policy looks."""

from __future__ import annotations

from mobile_vla.reporting.drawing.curves import error_along
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.material import Material


def error_by_step(material: Material) -> Drawn:
    """Draw the figure: the error at each step of the chunk."""
    return error_along(material, "step", "error_by_step", "step of the chunk")

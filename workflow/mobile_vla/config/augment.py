"""Settings of the augmentation: other pictures of the same drive."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Settings

Strength = Annotated[float, Field(ge=0, lt=1)]


class Photometric(Settings):
    """How far a window's pictures may be changed; a factor is drawn from [1 - x, 1 + x]."""

    brightness: Strength = 0.0
    """Strength x of the change of brightness."""
    contrast: Strength = 0.0
    """Strength x of the change of contrast."""
    saturation: Strength = 0.0
    """Strength x of the change of saturation."""

    @property
    def changes(self) -> bool:
        """Whether pictures are changed at all."""
        return any((self.brightness, self.contrast, self.saturation))


class Augment(Photometric):
    """What training sees besides the recorded pictures; validation and test see those alone.

    ``mirror`` is exact and works with stored features. The other changes are drawn anew once for
    each window and epoch, so they need the pictures themselves: where vision is trained.
    """

    mirror: bool = False
    """Train on each episode's mirror image too: pictures flipped, linear_y and angular_z negated,
    left and right exchanged in the prompt."""

    def photometric(self) -> Photometric:
        """Return what changes the pictures of a window."""
        return Photometric(**{name: getattr(self, name) for name in Photometric.model_fields})

"""Choose a policy's head: the place where a second kind of head is added."""

from __future__ import annotations

from mobile_vla.config.model import Head, PolicySettings
from mobile_vla.model.heads.head import ActionHead
from mobile_vla.model.heads.lstm import LstmHead


def head_class(settings: Head) -> type[LstmHead]:
    """Return the class of the head that some settings describe."""
    return LstmHead


def build_head(settings: PolicySettings, readout_size: int) -> ActionHead:
    """Build a policy's head, with random weights from PyTorch's generator.

    Args:
        settings: the policy's settings.
        readout_size: D, width of a readout.
    """
    return head_class(settings.head)(
        settings.head,
        readout_size,
        settings.chunk,
        settings.head_dimensions,
        gripper=settings.padding is not None,
    )

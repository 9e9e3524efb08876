"""The heads, which turn a window's readouts into a chunk of actions, and the choice of one."""

from __future__ import annotations

from mobile_vla.config.model import Head, PolicySettings
from mobile_vla.model.heads.head import ActionHead
from mobile_vla.model.heads.lstm import LstmHead


def head_class(settings: Head) -> type[LstmHead]:
    """Return the class of the head that some settings describe; another head is added here."""
    return LstmHead


def build_head(settings: PolicySettings, readout_size: int) -> ActionHead:
    """Build a policy's head for readouts of a size, with random weights of PyTorch's generator."""
    return head_class(settings.head)(
        settings.head,
        readout_size,
        settings.chunk,
        settings.head_dimensions,
        gripper=settings.padding is not None,
    )

"""The heads, which turn a window's readouts into a chunk of actions, and the choice of one.

A head's module has the name of its type, and is imported by it: see :mod:`mobile_vla.config.heads`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mobile_vla.config.head import class_name
from mobile_vla.config.model import PolicySettings
from mobile_vla.model.heads.head import ActionHead, HeadShape


def head_class(settings: PolicySettings) -> type[ActionHead]:
    """Return the class of a policy's head; it is made of its settings and a :class:`HeadShape`."""
    kind = settings.head.type
    found: type[ActionHead] = getattr(
        import_module(f"{__name__}.{kind}"), f"{class_name(kind)}Head"
    )
    return found


def build_head(settings: PolicySettings, readout_size: int) -> ActionHead:
    """Build a policy's head for readouts of a size, with random weights of PyTorch's generator."""
    shape = HeadShape(
        window=settings.window,
        readout=readout_size,
        chunk=settings.chunk,
        dimensions=settings.head_dimensions,
        gripper=settings.padding is not None,
    )
    make: Any = head_class(settings)
    head: ActionHead = make(settings.head, shape)
    return head

"""The heads, which turn a window's readouts into a chunk of actions, and the choice of one."""

from __future__ import annotations

from typing import Any

from mobile_vla.config.model import PolicySettings
from mobile_vla.model.heads.flow import FlowHead
from mobile_vla.model.heads.gpt import GptHead
from mobile_vla.model.heads.head import ActionHead, HeadShape
from mobile_vla.model.heads.lstm import LstmHead
from mobile_vla.model.heads.mlp import MlpHead
from mobile_vla.model.heads.tokens import TokensHead

HEADS: dict[str, Any] = {
    "lstm": LstmHead,
    "mlp": MlpHead,
    "gpt": GptHead,
    "tokens": TokensHead,
    "flow": FlowHead,
}
"""By type, the class of a head; it is made of its settings and a :class:`HeadShape`."""


def head_class(settings: PolicySettings) -> type[ActionHead]:
    """Return the class of a policy's head."""
    kind: type[ActionHead] = HEADS[settings.head.type]
    return kind


def build_head(settings: PolicySettings, readout_size: int) -> ActionHead:
    """Build a policy's head for readouts of a size, with random weights of PyTorch's generator."""
    shape = HeadShape(
        window=settings.window,
        readout=readout_size,
        chunk=settings.chunk,
        dimensions=settings.head_dimensions,
        gripper=settings.padding is not None,
    )
    head: ActionHead = HEADS[settings.head.type](settings.head, shape)
    return head

"""A policy without its memory: layers and their shapes, known from the configuration alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import Kosmos2Model

from mobile_vla.config.model import PolicySettings
from mobile_vla.model.adapter import prepare_backbone
from mobile_vla.model.heads.lstm import LstmHead


def backbone_parameters(config: Any) -> int:
    """Return how many parameters a backbone has, all of it and without adapters.

    Args:
        config: the backbone's ``Kosmos2Config``.
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Kosmos2Model(config).parameters())


def skeleton(config: Any, settings: PolicySettings) -> nn.ModuleDict:
    """Build a policy's layers on PyTorch's ``meta`` device, where tensors have no content.

    Args:
        config: the backbone's ``Kosmos2Config``.
        settings: the policy's settings.

    Returns:
        ``backbone`` with its adapters, and ``head``, with the parameters that are trained marked as
        such. The action token is not in it.
    """
    with torch.device("meta"):
        backbone = prepare_backbone(Kosmos2Model(config), settings)
        head = LstmHead(
            settings.head,
            config.text_config.embed_dim,
            settings.chunk,
            len(settings.actions.dimensions),
            settings.padding,
        )
    return nn.ModuleDict({"backbone": backbone, "head": head})

"""Build a policy's modules on the meta device: their shapes without content."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mobile_vla.backbone.kosmos2 import build_model, sizes_of
from mobile_vla.config.model import PolicySettings
from mobile_vla.model.adapter import prepare_backbone
from mobile_vla.model.heads.build import build_head


def backbone_parameters(config: Any) -> int:
    """Return how many parameters a backbone has, all of it and without adapters.

    Args:
        config: the backbone's configuration.
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(config).parameters())


def skeleton(config: Any, settings: PolicySettings) -> nn.ModuleDict:
    """Build a policy's layers on PyTorch's ``meta`` device, where tensors have no content.

    Args:
        config: the backbone's configuration.
        settings: the policy's settings.

    Returns:
        ``backbone`` with its adapters, and ``head``, with the parameters that are trained marked as
        such. The action token is not in it.
    """
    with torch.device("meta"):
        backbone = prepare_backbone(build_model(config), settings)
        head = build_head(settings, sizes_of(config).width)
    return nn.ModuleDict({"backbone": backbone, "head": head})

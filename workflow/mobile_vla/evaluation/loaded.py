"""A run's policy, loaded for a test of its behaviour."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Precision
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.files import read_json
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve


def load_policy(
    policy: Path, settings: PolicySettings, precision: Precision, backbone: Checkpoint
) -> tuple[Policy, str]:
    """Load a policy onto this machine's device, in evaluation mode.

    Args:
        policy: its ``policy.json``.
        settings: what config.yaml says that it is.
        precision: number format of the forward pass.
        backbone: what it was trained on.

    Returns:
        The policy, and the resolved number format.

    Raises:
        UserError: it is not the policy of these settings, this backbone or this precision.
    """
    device = default_device()
    resolved = resolve(precision, device)
    loaded = Policy.from_pretrained(policy.parent, backbone)
    if loaded.settings != settings:
        raise UserError(
            f"{policy} (settings): not those of config.yaml; run snakemake again, it trains the "
            "policy anew"
        )
    trained_in = read_json(policy)["precision"]
    if trained_in != resolved:
        raise UserError(
            f"{policy} (precision): trained in {trained_in}, and this machine would run it in "
            f"{resolved}; say `training.precision: {trained_in}` in config.yaml instead of auto"
        )
    return loaded.to(device), resolved

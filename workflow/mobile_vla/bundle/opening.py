"""Open the run of a bundle: its data, and its policy in fp32 on the CPU."""

from __future__ import annotations

from dataclasses import replace

from mobile_vla.config.bundle import BundleSettings
from mobile_vla.model.folder import read_description
from mobile_vla.model.policy import Policy
from mobile_vla.model.result import PolicyDescription
from mobile_vla.runs.data import PolicyInputs, RunData, open_run
from mobile_vla.runs.policy import open_policy


def open_exported(
    settings: BundleSettings, inputs: PolicyInputs
) -> tuple[RunData, Policy, PolicyDescription]:
    """Return a run's data, its policy with adapters in fp32, and its ``policy.json``.

    Whatever it was trained in and on: a GPU's convolutions in TF32 would differ by more than a
    bundle may.

    Raises:
        UserError: the policy is not the one of these settings, data or backbone.
    """
    # Frames in any case: a robot has no stored features.
    data = open_run(settings, replace(inputs, features=[]), "fp32")
    described = read_description(inputs.policy.parent)
    policy = open_policy(
        inputs.policy,
        settings.policy,
        data.trained_on,
        described.precision,
        data.backbone,
        run_in="fp32",
    )
    return data, policy.cpu(), described

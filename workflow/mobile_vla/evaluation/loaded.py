"""A run's policy, loaded to be scored or tested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy


def load_policy(
    path: Path,
    settings: PolicySettings,
    identity: Mapping[str, Any],
    precision: str,
    backbone: Checkpoint,
    run_in: str | None = None,
) -> Policy:
    """Load a policy onto this machine's device, in evaluation mode.

    Args:
        path: its ``policy.json``.
        settings: what config.yaml says that it is.
        identity: the data that it must have been trained on.
        precision: the resolved number format that it must have been trained in.
        backbone: what it must have been trained on.
        run_in: the number format that it is to run in; by default that of its training.

    Raises:
        UserError: it is not the policy of these settings, data, backbone or precision.
    """
    check_origin(path, identity, precision)
    policy = Policy.from_pretrained(path.parent, backbone, run_in or precision)
    check_settings(path, policy.settings, settings)
    return policy.to(default_device())


def check_settings(path: Path, trained: PolicySettings, wanted: PolicySettings) -> None:
    """Refuse a policy that was trained with other settings than config.yaml says now.

    Raises:
        Problems: each setting that differs, such as another chunk than the trained one.
    """
    before, now = trained.model_dump(mode="json"), wanted.model_dump(mode="json")
    problems = [
        Problem(f"{path} (settings.{name})", f"trained with {before[name]}", f"{now[name]}")
        for name in before
        if before[name] != now[name]
    ]
    if problems:
        raise Problems(
            "the policy is not that of config.yaml; run snakemake again, it trains it anew",
            problems,
        )


def check_origin(path: Path, identity: Mapping[str, Any], precision: str) -> None:
    """Refuse a policy of another split, which may have seen what is scored, or precision.

    Raises:
        UserError: the policy's data are not those of ``identity``, or it was trained in another
            number format than ``precision``.
    """
    described = read_json(path)
    if described["data"] != identity:
        raise UserError(
            f"{path} (data): trained on another manifest, split, fold or subset of "
            f"{described['data']['dataset']!r} than is scored, so it may have seen the scored "
            "episodes; run snakemake again, it trains the policy anew"
        )
    if described["precision"] != precision:
        raise UserError(
            f"{path} (precision): trained in {described['precision']}, and this machine would run "
            f"it in {precision}; say `training.precision: {described['precision']}` in config.yaml "
            "instead of auto"
        )

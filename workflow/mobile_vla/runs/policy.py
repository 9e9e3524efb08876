"""A run's policy: built to be trained, or loaded to be tested."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Cut
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.machine import default_device
from mobile_vla.model.adapter import load_backbone
from mobile_vla.model.folder import read_description, read_folder
from mobile_vla.model.policy import Policy
from mobile_vla.model.result import TrainedOn
from mobile_vla.runs.data import RunData


def build_policy(
    settings: PolicySettings,
    seed: int,
    data: RunData,
    init_from: Path | None = None,
    cut: Cut | None = None,
) -> Policy:
    """Build a run's policy, fresh from its seed or from another run's weights.

    Args:
        cut: where the forward pass will begin, by default where the run's stored features were
            taken: nothing that lies before is loaded, not even the vision tower.

    Raises:
        UserError: the other policy was trained on another split or fold, so that it may have seen
            this one's validation or test episodes. Another subset of the same training episodes
            is allowed. Or the head cannot have the commands of the training episodes.
    """
    backbone = data.backbone
    model = load_backbone(backbone, settings, data.precision, cut or settings.cut)
    processor = backbone.processor()
    policy = Policy(settings, model, processor, data.prompts.texts, seed, data.fixed)
    commands = data.samples["train"].commands_of_episodes()
    policy.head.prepare(commands)
    if init_from is not None:
        described, tensors = read_folder(init_from.parent, backbone)
        before, now = described.data, data.trained_on
        if before.model_copy(update={"subset": now.subset}) != now:
            raise UserError(
                f"{init_from} (data): trained on dataset {before.dataset!r} with another "
                f"manifest, split or fold than {now.dataset!r} has now, so it may "
                "have seen episodes that are scored here; train both on the same dataset and split"
            )
        policy.load_trained(tensors)
        policy.head.prepare(commands, trained=True)
    return policy


def load_policy(
    path: Path, settings: PolicySettings, data: RunData, run_in: str | None = None
) -> Policy:
    """Load a run's policy onto this machine's device, in evaluation mode.

    By default it runs in the number format of its training.

    Raises:
        UserError: it is not the policy of these settings, data, backbone or precision.
    """
    return open_policy(path, settings, data.trained_on, data.precision, data.backbone, run_in)


def open_policy(
    path: Path,
    settings: PolicySettings,
    trained_on: TrainedOn,
    precision: str,
    backbone: Checkpoint,
    run_in: str | None = None,
) -> Policy:
    """Load a policy as :func:`load_policy` does, where a run's windows are not opened."""
    check_origin(path, trained_on, precision)
    policy = Policy.from_pretrained(path.parent, backbone, run_in or precision)
    check_settings(path, policy.settings, settings)
    return policy.to(default_device())


def check_settings(path: Path, trained: PolicySettings, wanted: PolicySettings) -> None:
    """Refuse a policy that was trained with other settings than config.yaml says now.

    Raises:
        Problems: each setting that differs.
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


def check_origin(path: Path, trained_on: TrainedOn, precision: str) -> None:
    """Refuse a policy of another split, which may have seen what is scored, or precision.

    Raises:
        UserError: it was not trained on ``trained_on``, or in another number format.
    """
    described = read_description(path.parent)
    if described.data != trained_on:
        raise UserError(
            f"{path} (data): trained on another manifest, split, fold or subset of "
            f"{described.data.dataset!r} than is scored, so it may have seen the scored "
            "episodes; run snakemake again, it trains the policy anew"
        )
    if described.precision != precision:
        raise UserError(
            f"{path} (precision): trained in {described.precision}, and this machine would run "
            f"it in {precision}; say `training.precision: {described.precision}` in config.yaml "
            "instead of auto"
        )

"""The policy folder: small, complete, safetensors only, each file with its digest."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft import get_peft_model_state_dict, set_peft_model_state_dict
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_path, describe, digest_of, read_json, verify, write_json
from mobile_vla.model.adapter import lora_config

if TYPE_CHECKING:
    from mobile_vla.model.policy import Policy

FORMAT = 1
HEAD = "head.safetensors"
ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
BACKBONE = "backbone.safetensors"


def write_folder(policy: Policy, folder: Path, backbone: Checkpoint, facts: dict[str, Any]) -> None:
    """Write a policy's folder; ``policy.json`` goes first and comes last.

    While ``policy.json`` is absent the folder is unfinished, and nothing reads it.

    Args:
        policy: the policy; only what was trained is written, never the frozen backbone.
        folder: where to; files of an earlier policy that this one does not have are removed.
        backbone: what it was trained on.
        facts: what else to say of the policy in ``policy.json``, as plain JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.json").unlink(missing_ok=True)
    _save_tensors(folder / HEAD, dict(policy.own_state()))
    names = [HEAD]
    settings = policy.settings
    if settings.lora is not None:
        wrapped: Any = policy.encoder.backbone
        _save_tensors(folder / ADAPTER, get_peft_model_state_dict(wrapped))
        config = lora_config(settings.lora)
        # PEFT would write this machine's absolute path
        config.base_model_name_or_path = backbone.name
        config.inference_mode = True
        write_json(folder / ADAPTER_CONFIG, dict(sorted(config.to_dict().items())))
        names += [ADAPTER, ADAPTER_CONFIG]
    if settings.full is not None:
        _save_tensors(folder / BACKBONE, _trained(policy))
        names.append(BACKBONE)
    for stale in folder.iterdir():
        if stale.name not in names:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    write_json(
        folder / "policy.json",
        {
            "format": FORMAT,
            "settings": settings.model_dump(mode="json"),
            "prompts": list(policy.texts),
            "tokens": tokens_of(policy),
            "backbone": {"name": backbone.name, "digest": backbone.digest},
            "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
            "files": {name: describe(folder / name) for name in sorted(names)},
            **facts,
        },
    )


def read_description(description: Path, backbone: Checkpoint) -> dict[str, Any]:
    """Read ``policy.json``, and check that its files are whole and belong to a backbone.

    Raises:
        UserError: a file is missing or damaged, or the backbone is not that of the training.
    """
    described: dict[str, Any] = read_json(description)
    if described.get("format") != FORMAT:
        raise UserError(
            f"{description} (format): found {described.get('format')!r}, expected {FORMAT}; "
            "train the policy again with this version"
        )
    if described["backbone"]["digest"] != backbone.digest:
        raise UserError(
            f"{description} (backbone): trained on {described['backbone']['name']!r} with digest "
            f"{described['backbone']['digest'][:12]}…, but {backbone.name!r} here has "
            f"{backbone.digest[:12]}…; use the checkpoint it was trained on, or train again"
        )
    for name, file in described["files"].items():
        verify(description.parent / name, file)
    return described


def load_weights(policy: Policy, folder: Path) -> None:
    """Load the trained tensors of a policy folder into a policy of the same settings.

    Raises:
        UserError: a file does not hold exactly the tensors that the policy trains.
    """
    policy.load_own_state(load_file(folder / HEAD))
    if policy.settings.lora is not None:
        wrapped: Any = policy.encoder.backbone
        tensors = load_file(folder / ADAPTER)
        _same_names(folder / ADAPTER, set(tensors), set(get_peft_model_state_dict(wrapped)))
        set_peft_model_state_dict(wrapped, tensors)
    if policy.settings.full is not None:
        tensors = load_file(folder / BACKBONE)
        _same_names(folder / BACKBONE, set(tensors), set(_trained(policy)))
        policy.encoder.kosmos.load_state_dict(tensors, strict=False)


def _trained(policy: Policy) -> dict[str, Tensor]:
    """Return the backbone's own tensors that are trained."""
    return {
        name: parameter.detach()
        for name, parameter in policy.encoder.kosmos.named_parameters()
        if parameter.requires_grad
    }


def _same_names(path: Path, found: set[str], expected: set[str]) -> None:
    if found != expected:
        raise UserError(
            f"{path}: holds {len(found - expected)} tensors that the policy does not train, and "
            f"lacks {len(expected - found)} that it does (such as "
            f"{sorted(found ^ expected)[0]}); train the policy again"
        )


def settings_of(description: Path, described: dict[str, Any]) -> PolicySettings:
    """Return the settings that a ``policy.json`` holds.

    Raises:
        UserError: they are not settings of this version.
    """
    try:
        return PolicySettings.model_validate(described["settings"])
    except ValidationError as error:
        raise UserError(
            f"{description} (settings): not those of a policy of this version: {error}; "
            "train it again"
        ) from None


def tokens_of(policy: Policy) -> str:
    """Return a digest of a policy's prompts as its backbone's tokenizer reads them."""
    encoder = policy.encoder
    return digest_of([encoder.ids.tolist(), encoder.slots.tolist()])


def _save_tensors(path: Path, tensors: dict[str, Any]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(contiguous, temporary, metadata={"format": "pt"})

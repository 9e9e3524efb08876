"""The policy folder: small, complete, safetensors only, each file with its digest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.files import describe, read_json, verify, write_json
from mobile_vla.model.adapter import lora_config
from mobile_vla.model.tensors import write_tensors

DESCRIPTION = "policy.json"
ADAPTER_CONFIG = "adapter_config.json"
FORMAT = 1

Tensors = Mapping[str, Mapping[str, Tensor]]
"""By part (``head``, ``adapter_model`` or ``backbone``), its trained tensors by name."""


def write_folder(
    folder: Path, settings: PolicySettings, tensors: Tensors, backbone: Checkpoint, facts: Any
) -> None:
    """Write a policy's folder; ``policy.json`` goes first and comes last.

    While it is absent the folder is unfinished, and nothing reads it.

    Args:
        folder: where to; files of an earlier policy that this one does not have are removed.
        settings: the policy's settings.
        tensors: what was trained; each part becomes ``PART.safetensors``.
        backbone: what it was trained on.
        facts: what else to say of the policy, as plain JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    names = []
    for part, values in tensors.items():
        names.append(f"{part}.safetensors")
        write_tensors(folder / names[-1], values)
    if settings.lora is not None:
        names.append(ADAPTER_CONFIG)
        config = lora_config(settings.lora)
        # PEFT would write this machine's absolute path
        config.base_model_name_or_path = backbone.name
        config.inference_mode = True
        write_json(folder / ADAPTER_CONFIG, dict(sorted(config.to_dict().items())))
    for stale in folder.iterdir():
        if stale.name not in names:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    write_json(
        folder / DESCRIPTION,
        {
            "format": FORMAT,
            "settings": settings.model_dump(mode="json"),
            "backbone": {"name": backbone.name, "digest": backbone.digest},
            "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
            "files": {name: describe(folder / name) for name in sorted(names)},
            **facts,
        },
    )


def read_folder(folder: Path, backbone: Checkpoint) -> tuple[dict[str, Any], Tensors]:
    """Read a policy's folder, and check that its files are whole and belong to a backbone.

    Returns:
        The content of ``policy.json``, and the trained tensors of each part.

    Raises:
        UserError: a file is missing or damaged, or the backbone is not that of the training.
    """
    path = folder / DESCRIPTION
    described: dict[str, Any] = read_json(path)
    if described.get("format") != FORMAT:
        raise UserError(
            f"{path} (format): found {described.get('format')!r}, expected {FORMAT}; "
            "train the policy again with this version"
        )
    if described["backbone"]["digest"] != backbone.digest:
        raise UserError(
            f"{path} (backbone): trained on {described['backbone']['name']!r} with digest "
            f"{described['backbone']['digest'][:12]}…, but {backbone.name!r} here has "
            f"{backbone.digest[:12]}…; use the checkpoint it was trained on, or train again"
        )
    for name, file in described["files"].items():
        verify(folder / name, file)
    parts = [name for name in described["files"] if name.endswith(".safetensors")]
    return described, {
        name.removesuffix(".safetensors"): load_file(folder / name) for name in parts
    }


def settings_of(folder: Path, described: Mapping[str, Any]) -> PolicySettings:
    """Return the settings that a ``policy.json`` holds.

    Raises:
        UserError: they are not settings of this version.
    """
    try:
        return PolicySettings.model_validate(described["settings"])
    except ValidationError as error:
        raise UserError(
            f"{folder / DESCRIPTION} (settings): not those of a policy of this version: {error}; "
            "train it again"
        ) from None

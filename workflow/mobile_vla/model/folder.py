"""Write and read the policy folder: safetensors and JSON, checked against their digests."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.files import read_json, write_json, write_text
from mobile_vla.model.adapter import lora_config
from mobile_vla.model.agreement import (
    check_backbone,
    check_entries,
    check_values,
    check_versions,
    digests_of,
)
from mobile_vla.model.heads.build import head_class
from mobile_vla.model.result import PolicyCore, PolicyDescription, PolicyOrigin
from mobile_vla.model.tensors import write_tensors
from mobile_vla.result import FileDigest

DESCRIPTION = "policy.json"
CARD = "README.md"
ADAPTER_CONFIG = "adapter_config.json"
HEAD = "head."  # comes before the names of the head's tensors, beside the action token's
FORMAT = 2

Tensors = Mapping[str, Mapping[str, Tensor]]
"""By part (``head``, ``adapter_model`` or ``backbone``), its trained tensors by name."""


def write_folder(
    folder: Path,
    core: PolicyCore,
    origin: PolicyOrigin,
    tensors: Tensors,
    card: str | None = None,
) -> None:
    """Write a policy's folder; ``policy.json`` is removed first and written last.

    While it is absent the folder is unfinished, and nothing reads it.

    Args:
        folder: where to; files of an earlier policy that this one does not have are removed.
        core: what the policy is; its ``files`` are filled in here.
        origin: where it comes from.
        tensors: what was trained; each part becomes ``PART.safetensors``.
        card: text of ``README.md``, for people: it has no digest, and may be edited.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    names = []
    for part, values in tensors.items():
        names.append(f"{part}.safetensors")
        write_tensors(folder / names[-1], values)
    if core.settings.lora is not None:
        names.append(ADAPTER_CONFIG)
        config = lora_config(core.settings.lora)
        # PEFT would write this machine's absolute path
        config.base_model_name_or_path = core.backbone.name
        config.inference_mode = True
        write_json(folder / ADAPTER_CONFIG, dict(sorted(config.to_dict().items())))
    if card is not None:
        write_text(folder / CARD, card)
    kept = {*names, *([CARD] if card is not None else [])}
    for stale in folder.iterdir():
        if stale.name not in kept:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    files = {name: FileDigest.of(folder / name) for name in sorted(names)}
    described = PolicyDescription(**{**dict(core), "files": files}, **dict(origin), digests={})
    digests = digests_of(described.model_dump(mode="json"))
    described.model_copy(update={"digests": digests}).write(folder / DESCRIPTION)


def read_folder(folder: Path, backbone: Checkpoint) -> tuple[PolicyDescription, Tensors]:
    """Read a policy's folder, and check that it is whole and agrees with what is installed here.

    Returns:
        The content of ``policy.json``, and the trained tensors of each part.

    Raises:
        UserError: a file is missing or damaged; ``policy.json`` was changed; the backbone is not
            that of the training; or a library has another major version.
    """
    path = folder / DESCRIPTION
    content = _read_content(folder)
    check_entries(path, content)
    for name, file in content["files"].items():
        FileDigest.checked(path, file).verify(
            folder / name, "copy the policy's folder again, or run snakemake again"
        )
    parts = [name for name in content["files"] if name.endswith(".safetensors")]
    tensors = {name.removesuffix(".safetensors"): load_file(folder / name) for name in parts}
    _check_chunk(path, settings_of(folder, content), tensors["head"])
    check_values(path, content)
    described = PolicyDescription.checked(path, content)
    check_backbone(path, described.backbone, backbone)
    check_versions(path, described.versions)
    return described, tensors


def read_description(folder: Path) -> PolicyDescription:
    """Read ``policy.json``; whether it was changed, or agrees with other files, is not checked.

    Raises:
        UserError: it is not there, or of another version of this program.
    """
    return PolicyDescription.checked(folder / DESCRIPTION, _read_content(folder))


def _read_content(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    content: dict[str, Any] = read_json(path)
    if content.get("format") != FORMAT:
        raise UserError(
            f"{path} (format): found {content.get('format')!r}, expected {FORMAT}; "
            "train the policy again with this version"
        )
    return content


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


def _check_chunk(path: Path, settings: PolicySettings, tensors: Mapping[str, Tensor]) -> None:
    """Compare the chunk with the outputs of the trained head.

    Raises:
        UserError: it was trained for another chunk than ``policy.json`` says.
    """
    head = {name.removeprefix(HEAD): tensors[name] for name in tensors if name.startswith(HEAD)}
    values, dimensions = head_class(settings.head).outputs_of(head), settings.head_dimensions
    if values != settings.chunk * dimensions:
        raise UserError(
            f"{path} (settings.chunk): found {settings.chunk}, but the head was trained to "
            f"predict {values} values, {values / dimensions:g} steps of {dimensions} dimensions; "
            "restore the file, or train a policy with this chunk"
        )

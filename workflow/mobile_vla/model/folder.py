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
from mobile_vla.files import describe, read_json, verify, write_json, write_text
from mobile_vla.model.adapter import lora_config
from mobile_vla.model.agreement import (
    PACKAGES,
    check_backbone,
    check_entries,
    check_values,
    check_versions,
    digests_of,
)
from mobile_vla.model.heads.build import head_class
from mobile_vla.model.tensors import write_tensors
from mobile_vla.provenance.record import versions

DESCRIPTION = "policy.json"
CARD = "README.md"
ADAPTER_CONFIG = "adapter_config.json"
HEAD = "head."  # comes before the names of the head's tensors, beside the action token's
FORMAT = 2

Tensors = Mapping[str, Mapping[str, Tensor]]
"""By part (``head``, ``adapter_model`` or ``backbone``), its trained tensors by name."""


def write_folder(
    folder: Path,
    settings: PolicySettings,
    tensors: Tensors,
    backbone: Checkpoint,
    facts: Mapping[str, Any],
    card: str | None = None,
) -> None:
    """Write a policy's folder; ``policy.json`` is removed first and written last.

    While it is absent the folder is unfinished, and nothing reads it.

    Args:
        folder: where to; files of an earlier policy that this one does not have are removed.
        settings: the policy's settings.
        tensors: what was trained; each part becomes ``PART.safetensors``.
        backbone: what it was trained on.
        facts: further entries of ``policy.json``, as plain JSON values.
        card: text of ``README.md``, for people: it has no digest, and may be added to.
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
    if card is not None:
        write_text(folder / CARD, card)
    kept = {*names, *([CARD] if card is not None else [])}
    for stale in folder.iterdir():
        if stale.name not in kept:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    content = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "backbone": {
            "name": backbone.name,
            "revision": backbone.revision,
            "digest": backbone.digest,
            "files": {name: file.model_dump() for name, file in backbone.files.items()},
        },
        "versions": versions(PACKAGES),
        "files": {name: describe(folder / name) for name in sorted(names)},
        **facts,
    }
    write_json(folder / DESCRIPTION, {**content, "digests": digests_of(content)})


def read_folder(folder: Path, backbone: Checkpoint) -> tuple[dict[str, Any], Tensors]:
    """Read a policy's folder, and check that it is whole, and what it was trained with is here.

    Returns:
        The content of ``policy.json``, and the trained tensors of each part.

    Raises:
        UserError: a file is missing or damaged; ``policy.json`` was changed; the backbone is not
            that of the training; or a library has another major version.
    """
    path = folder / DESCRIPTION
    described = read_description(folder)
    check_entries(path, described)
    for name, file in described["files"].items():
        verify(folder / name, file, "copy the policy's folder again, or run snakemake again")
    parts = [name for name in described["files"] if name.endswith(".safetensors")]
    tensors = {name.removesuffix(".safetensors"): load_file(folder / name) for name in parts}
    _check_chunk(path, settings_of(folder, described), tensors["head"])
    check_values(path, described)
    check_backbone(path, described["backbone"], backbone)
    check_versions(path, described["versions"])
    return described, tensors


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of ``policy.json``; nothing of it is checked but its format.

    Raises:
        UserError: it is not there, or of another version of this program.
    """
    path = folder / DESCRIPTION
    described: dict[str, Any] = read_json(path)
    if described.get("format") != FORMAT:
        raise UserError(
            f"{path} (format): found {described.get('format')!r}, expected {FORMAT}; "
            "train the policy again with this version"
        )
    return described


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

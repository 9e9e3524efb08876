"""Write and read the policy folder, and check that it, its backbone and the libraries agree."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import (
    DISK_FULL,
    atomic_path,
    digest_of,
    read_json,
    write_json,
)
from mobile_vla.model.heads import head_class
from mobile_vla.model.result import (
    PolicyCore,
    PolicyDescription,
    PolicyOrigin,
    TrainedBackbone,
)
from mobile_vla.provenance.code import versions
from mobile_vla.result import FileDigest

DESCRIPTION = "policy.json"
CARD = "README.md"
ADAPTER_CONFIG = "adapter_config.json"
HEAD = "head."  # comes before the names of the head's tensors, beside the action token's
FORMAT = 3
PACKAGES = ("torch", "transformers", "tokenizers", "peft", "pillow")
"""The libraries that a prediction goes through, from the camera's picture to the velocities."""
DIGITS = 16  # hex digits of the digests in policy.json: against mistakes, not against an attacker
SHOWN = 200  # characters of a value that a message shows
CHANGED = "{path} was changed after the training; restore it, or train a policy with what you want"

Tensors = Mapping[str, Mapping[str, Tensor]]
"""By part (``head``, ``adapter_model`` or ``backbone``), its trained tensors by name."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a safetensors file, whole or not at all.

    Raises:
        UserError: the disk is full; a file that was there before is still there.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with atomic_path(path) as temporary:
            save_file(contiguous, temporary, metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        # safetensors wraps the system's error and keeps its number in the text alone
        wrapped = any(f"os error {number}" in str(error) for number in DISK_FULL)
        if not wrapped and getattr(error, "errno", None) not in DISK_FULL:
            raise
        needed = sum(tensor.nbytes for tensor in contiguous.values())
        free = shutil.disk_usage(path.parent).free
        raise UserError(
            f"{path}: the disk is full: {needed / 1e6:.3g} MB are needed, {free / 1e6:.3g} MB are "
            "free. What was saved before is whole: make room and run snakemake again, it goes on "
            "from there"
        ) from None


def write_folder(
    folder: Path,
    core: PolicyCore,
    origin: PolicyOrigin,
    tensors: Tensors,
    adapters: LoraConfig | None = None,
) -> None:
    """Write a policy's folder; ``policy.json`` is removed first and written last.

    While it is absent the folder is unfinished, and nothing reads it.

    Args:
        folder: where to; files of an earlier policy that this one does not have are removed, its
            model card among them.
        core: what the policy is; its ``files`` are filled in here.
        tensors: what was trained; each part becomes ``PART.safetensors``.
        adapters: PEFT's configuration, where the policy has adapters; it is changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    names = [f"{part}.safetensors" for part in tensors]
    for name, values in zip(names, tensors.values(), strict=True):
        write_tensors(folder / name, values)
    if adapters is not None:
        names.append(ADAPTER_CONFIG)
        # PEFT would write this machine's absolute path
        adapters.base_model_name_or_path = core.backbone.name
        adapters.inference_mode = True
        write_json(folder / ADAPTER_CONFIG, dict(sorted(adapters.to_dict().items())))
    for stale in folder.iterdir():
        if stale.name not in names:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    files = {name: FileDigest.of(folder / name) for name in sorted(names)}
    described = PolicyDescription(**{**dict(core), "files": files}, **dict(origin), digests={})
    values = _places(described.model_dump(mode="json"))
    digests = {place: digest_of(value, DIGITS) for place, value in values.items()}
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
    content = check_files(folder)
    digests, values = content["digests"], _places(content)
    parts = [name for name in content["files"] if name.endswith(".safetensors")]
    tensors = {name.removesuffix(".safetensors"): load_file(folder / name) for name in parts}
    _check_chunk(path, content, tensors["head"])
    _refuse(
        CHANGED.format(path=path),
        [
            Problem(f"{path} ({place})", _short(value), "what it was trained with")
            for place, value in values.items()
            if digest_of(value, DIGITS) != digests[place]
        ],
    )
    described = PolicyDescription.checked(path, content)
    _check_backbone(path, described.backbone, backbone)
    check_versions(path, described.versions)
    return described, tensors


def check_files(folder: Path) -> dict[str, Any]:
    """Check that each file of a policy's folder is whole; return the content of ``policy.json``.

    Raises:
        UserError: a file is missing or damaged, or ``policy.json`` has other entries.
    """
    path = folder / DESCRIPTION
    content = _read_content(folder)
    digests, values = content.get("digests", {}), _places(content)
    _refuse(
        CHANGED.format(path=path),
        [
            Problem(f"{path} ({place})", "it is not there" if place in digests else "added to it")
            for place in sorted(digests.keys() ^ values.keys())
        ],
    )
    for name, file in content["files"].items():
        FileDigest.checked(path, file).verify(
            folder / name,
            "copy the policy's folder again, or train it again by `snakemake --cores 1 --forcerun "
            f"{path}`",
        )
    return content


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


def _check_chunk(path: Path, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse settings whose chunk is not the one that the head was trained for."""
    try:
        settings = PolicySettings.model_validate(content["settings"])
    except ValidationError as error:
        raise UserError(
            f"{path} (settings): not those of a policy of this version: {error}; train it again"
        ) from None
    head = {name.removeprefix(HEAD): tensors[name] for name in tensors if name.startswith(HEAD)}
    values = head_class(settings).outputs_of(head, settings.head)
    dimensions = settings.head_dimensions
    if values != settings.chunk * dimensions:
        raise UserError(
            f"{path} (settings.chunk): found {settings.chunk}, but the head was trained to "
            f"predict {values} values, {values / dimensions:g} steps of {dimensions} dimensions; "
            "restore the file, or train a policy with this chunk"
        )


def _places(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of ``policy.json`` but the digests by place, such as ``settings.chunk``."""
    values: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and key != "digests":
            values |= {f"{key}.{name}": entry for name, entry in value.items()}
        elif key != "digests":
            values[key] = value
    return values


def _short(value: Any) -> str:
    text = repr(value)
    return f"found {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}"


def _refuse(heading: str, problems: Sequence[Problem]) -> None:
    if problems:
        raise Problems(heading, problems)


def _check_backbone(path: Path, trained: TrainedBackbone, backbone: Checkpoint) -> None:
    """Refuse a backbone that is not, byte for byte, the one that a policy was trained on."""
    before, here = trained.files, backbone.files
    _refuse(
        f"{path} (backbone): trained on {_named(trained)}, and {_named(backbone)} here is another "
        "one; use the checkpoint it was trained on, or train again",
        [
            Problem(
                f"{backbone.source}/{name}",
                _bytes(here[name]) if name in here else "it is not there",
                _bytes(before[name]) if name in before else "no such file",
            )
            for name in sorted(before.keys() | here.keys())
            if before.get(name) != here.get(name)
        ],
    )


def _named(backbone: TrainedBackbone | Checkpoint) -> str:
    revision = backbone.revision
    return repr(backbone.name) + ("" if revision is None else f", revision {revision}")


def _bytes(file: FileDigest) -> str:
    return f"{file.size:,} bytes, SHA-256 {file.sha256[:12]}…"


def check_versions(path: Path, trained: Mapping[str, str | None]) -> None:
    """Refuse libraries of another major version than in training: they may compute otherwise."""
    here = versions(tuple(trained))
    _refuse(
        f"{path}: trained with another major version of a library than is installed here",
        [
            Problem(
                f"{path} (versions.{name})",
                f"{name} {here[name] or 'is not installed'}",
                f"{name} {_major(before)}.x; it was trained with {before}",
                f"pip install {name}=={before}, or train the policy again here",
            )
            for name, before in trained.items()
            if _major(here[name]) != _major(before)
        ],
    )


def _major(version: str | None) -> str | None:
    return None if version is None else version.split(".")[0]

"""A Kosmos-2 checkpoint from outside: found, checked and described; its weights stay in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from mobile_vla.backbone.checkpoint import unreachable
from mobile_vla.config.backbone import BackboneSettings, PretrainedBackbone
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import describe, read_json, write_json

# What `from_pretrained` of model and processor reads; not the older pickled weights beside them.
PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt")


def pretrained_backbone(settings: BackboneSettings, *, description: Path) -> None:
    """Check a checkpoint folder, or bring one from the hub, and describe its files.

    Args:
        settings: the backbone's name and where it comes from.
        description: ``backbone.json``.

    Raises:
        UserError: the checkpoint cannot be reached, is incomplete, or is no Kosmos-2.
    """
    backbone = settings.backbone
    assert isinstance(backbone, PretrainedBackbone)  # the rule for random weights is another
    folder = Path(backbone.checkpoint).expanduser()
    source = str(folder.absolute())
    if backbone.revision is not None:
        folder = _download(settings.name, backbone.checkpoint, backbone.revision)
        source = backbone.checkpoint
    config = _check(settings.name, folder)
    files = sorted({file for pattern in PATTERNS for file in folder.glob(pattern)})
    write_json(
        description,
        {
            "name": settings.name,
            "checkpoint": source,
            "revision": backbone.revision,
            "hidden_size": config["text_config"]["embed_dim"],
            "image_tokens": config["latent_query_num"],
            "files": {file.name: describe(file) for file in files},
        },
    )


def _download(name: str, hub_id: str, revision: str) -> Path:
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(PATTERNS)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(unreachable(name, hub_id, error)) from None


def _check(name: str, folder: Path) -> dict[str, Any]:
    """Return the checkpoint's ``config.json``, if the folder holds a whole Kosmos-2."""
    place = f"config.yaml (backbones.{name}.checkpoint)"
    if not folder.is_dir():
        raise UserError(unreachable(name, str(folder), FileNotFoundError("no such folder")))
    problems = [
        Problem(place, f"{folder} holds no {what}", f"one of {' or '.join(names)}", "copy it there")
        for what, names in (
            ("configuration", ["config.json"]),
            ("weights", ["model.safetensors", "model.safetensors.index.json"]),
            ("tokenizer", ["tokenizer.json", "sentencepiece.bpe.model"]),
            ("processor", ["processor_config.json", "preprocessor_config.json"]),
        )
        if not any((folder / file).is_file() for file in names)
    ]
    if problems:
        raise Problems(f"the backbone {name!r} is incomplete", problems)
    config = read_json(folder / "config.json")
    if config.get("model_type") != "kosmos-2":
        raise UserError(
            f"{folder / 'config.json'} (model_type): found {config.get('model_type')!r}, expected "
            "'kosmos-2'; point the backbone at a Kosmos-2 checkpoint"
        )
    # The hub's file leaves out what equals the defaults of the class.
    config.setdefault("latent_query_num", 64)
    config.setdefault("text_config", {}).setdefault("embed_dim", 2048)
    return config

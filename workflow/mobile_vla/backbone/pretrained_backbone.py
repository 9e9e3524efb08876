"""Check and describe a checkpoint from outside; its weights stay where they are."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from mobile_vla.backbone.checkpoint import unreachable
from mobile_vla.backbone.result import MODEL_TYPE, PATTERNS, BackboneDescription, checkpoint_digests
from mobile_vla.config.backbone import BackboneSettings, PretrainedBackbone
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.layout import BackboneFiles


def pretrained_backbone(
    settings: BackboneSettings, outputs: BackboneFiles, *, checkpoint: Path | None = None
) -> None:
    """Check a checkpoint folder, or bring one from the hub, and describe its files.

    Args:
        checkpoint: the folder of a local checkpoint.

    Raises:
        UserError: the checkpoint cannot be reached, is incomplete, or is no Kosmos-2.
    """
    backbone = settings.backbone
    assert isinstance(backbone, PretrainedBackbone)  # the rule for random weights is another
    if checkpoint is not None:
        folder = checkpoint
    else:
        try:
            found = snapshot_download(
                backbone.checkpoint, revision=backbone.revision, allow_patterns=list(PATTERNS)
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise UserError(unreachable(settings.name, backbone.checkpoint, error)) from None
        folder = Path(found)
    _check(settings.name, folder)
    description = BackboneDescription(
        name=settings.name,
        # as it was written: a path that is relative stays so when the project is copied
        checkpoint=backbone.checkpoint if checkpoint is None else str(checkpoint),
        revision=backbone.revision,
        files=checkpoint_digests(folder),
    )
    description.write(outputs.description)


def _check(name: str, folder: Path) -> None:
    """Check that a folder holds a whole checkpoint, before an hour of computing shows it."""
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
    again = "copy the checkpoint again, this file is cut off or damaged"
    for file in folder.glob("*.safetensors"):
        try:
            with safe_open(file, "pt"):
                pass  # opening reads the header, and compares it with the file's length
        except (OSError, SafetensorError) as error:
            problems.append(Problem(str(file), f"not readable: {error}", "safetensors", again))
    for file in folder.glob("*.json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems.append(Problem(str(file), f"not readable: {error}", "JSON", again))
            continue
        if file.name == "config.json" and content.get("model_type") != MODEL_TYPE:
            kind = f"a model of the type {content.get('model_type')!r}"
            use = "use a Kosmos-2 checkpoint"
            problems.append(Problem(str(file), kind, repr(MODEL_TYPE), use))
    if problems:
        raise Problems(f"the backbone {name!r} cannot be used", problems)

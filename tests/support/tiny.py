"""The smallest real Kosmos-2: the stock classes, written as a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobile_vla.backbone.random_backbone import random_backbone
from mobile_vla.config.backbone import BackboneSettings, RandomBackbone
from mobile_vla.layout import BackboneFiles

SIZE: dict[str, Any] = {
    "weights": "random",
    "vision": {"hidden_size": 16, "layers": 1, "heads": 2, "ffn": 32},
    "text": {
        "hidden_size": 32,
        "layers": 1,
        "heads": 2,
        "ffn": 32,
        "vocabulary": 1500,
        "dropout": 0.1,
    },
    "image_tokens": 4,
}


def make_backbone(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Write a tiny random backbone and return the path of its ``backbone.json``."""
    backbone = RandomBackbone.model_validate({**SIZE, "seed": seed, **changes})
    description = folder / "backbone.json"
    random_backbone(BackboneSettings(name="tiny", backbone=backbone), BackboneFiles(description))
    return description

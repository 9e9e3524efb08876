"""Merge a policy's adapters into its backbone's weights, as a plain checkpoint."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.result import BackboneDescription, checkpoint_digests
from mobile_vla.config.model import PolicySettings
from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla.model.folder import CARD
from mobile_vla.model.policy import Policy
from mobile_vla.model.result import MergedFrom, PolicyDescription
from mobile_vla.robot.policy import BACKBONE, description_of, open_backbone

log = logging.getLogger(__name__)

NOTE = """
## Merged

What `{name}` learnt of its backbone is part of the checkpoint in the folder above this one, and
this policy is its head. Its predictions are those of the original to about 1e-4.
"""


def merge(policy: Path, checkpoint: Path, *, backbone: Path | None = None) -> None:
    """Write a policy's backbone as a checkpoint with everything it has learnt, in float32.

    `Kosmos2Model.from_pretrained(CHECKPOINT)` loads it without PEFT and without this program. Below
    it, in `policy`, lies the policy that predicts on it what the original predicts, for `predict`
    and `serve`.

    Args:
        policy: the policy's folder.
        checkpoint: the folder to write; it must not be there yet.
        backbone: the backbone's folder; by default that of the results which the policy lies in.

    Raises:
        UserError: the policy left its backbone as it was; or the folder is there.
    """
    described = description_of(policy)
    if described.settings.finetune == "none":
        raise UserError(
            f"{policy}: it left its backbone as it was (`finetune: none`), so there is nothing to "
            "merge; use the backbone itself"
        )
    if checkpoint.exists():
        raise UserError(f"{checkpoint}: it is there already; name a folder that is not")
    source = open_backbone(policy, described, backbone)
    merged = Policy.from_pretrained(policy, source, "fp32")
    model: Any = merged.encoder.backbone
    if merged.settings.lora is not None:
        model = model.merge_and_unload()
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=checkpoint.parent, prefix=".merging-") as unfinished:
        folder = Path(unfinished, checkpoint.name)
        model.save_pretrained(folder)
        source.processor().save_pretrained(folder)
        files = checkpoint_digests(folder)
        description = BackboneDescription(
            name=checkpoint.name, checkpoint=".", revision=None, files=files
        )
        description.write(folder / BACKBONE)
        card = policy / CARD
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        text += NOTE.format(name=f"{described.experiment} {described.run}")
        _write_policy(folder, merged, model, described)
        write_text(folder / "policy" / CARD, text)
        folder.rename(checkpoint)
    size = sum(file.size for file in files.values())
    log.info("%s: %.3g MB, and its policy", checkpoint, size / 1e6)


def _write_policy(
    folder: Path, original: Policy, model: nn.Module, described: PolicyDescription
) -> None:
    """Write a policy of the same head whose backbone, the merged one, is frozen."""
    checkpoint = Checkpoint.read(folder / BACKBONE)
    frozen = {"finetune": "none", "lora": None, "full": None}
    settings = PolicySettings.model_validate({**original.settings.model_dump(), **frozen})
    processor, fixed = checkpoint.processor(), original.fixed_values
    policy = Policy(settings, model, processor, original.texts, seed=0, fixed=fixed)
    policy.load_trained({"head": original.trained()["head"]})
    merged = MergedFrom(finetune=original.settings.finetune, backbone=described.backbone.digest)
    origin = described.origin().model_copy(update={"merged": merged})
    policy.save_pretrained(folder / "policy", checkpoint, origin)

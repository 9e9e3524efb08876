"""Check the folder of a local checkpoint when the workflow is planned, without heavy imports."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.backbone.result import checkpoint_files
from mobile_vla.config.backbone import Backbone, PretrainedBackbone
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import Problems


def check_folder(name: str, backbone: Backbone, source: Source) -> None:
    """Check that a backbone's folder is there, if it has one; its job looks into the files.

    Args:
        name: of the backbone.
        backbone: its settings.
        source: where they stand.

    Raises:
        Problems: it is not, or holds no checkpoint.
    """
    if not isinstance(backbone, PretrainedBackbone) or backbone.revision is not None:
        return
    folder = Path(backbone.checkpoint).expanduser()
    if folder.is_dir() and checkpoint_files(folder):
        return
    found = "holds no checkpoint" if folder.is_dir() else "is no folder"
    problem = source.problem(
        ("backbones", name, "checkpoint"),
        f"{backbone.checkpoint} {found}",
        "the folder of a checkpoint",
        "correct the path, or `hf download microsoft/kosmos-2-patch14-224 --local-dir kosmos-2`",
    )
    raise Problems("the checkpoint is not there", [problem])

"""Print the sheet of a trial: what is to be driven, with room to note what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.files import write_text
from mobile_vla.templates import rendered
from mobile_vla.trials.files import SHEET, TrialFolder
from mobile_vla.trials.records import ENDS


def write_sheet(files: TrialFolder, trial: str, scenes: Sequence[dict[str, str]]) -> None:
    """Write ``sheet.html``: the drives without an outcome, block by block.

    Args:
        files: the trial's folder.
        trial: its name.
        scenes: rows of the table of scenes, whose further columns are printed.
    """
    outcomes = files.outcomes()
    blocks: dict[int, list[dict[str, object]]] = {}
    of = {scene["scene"]: scene for scene in scenes}
    for row in sorted(files.schedule(), key=lambda row: (row.block, row.position)):
        if row.ticket not in outcomes:
            scene = of.get(row.scene, {})
            setup = {
                name: value
                for name, value in scene.items()
                if name not in ("scene", "instruction") and value
            }
            blocks.setdefault(row.block, []).append({**row.model_dump(), "setup": setup})
    text = rendered("trial_sheet", trial=trial, blocks=blocks, ends=ENDS)
    write_text(files.path / SHEET, text)

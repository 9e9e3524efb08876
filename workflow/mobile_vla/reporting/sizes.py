"""Experiments that differ in the number of training episodes alone."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.files import canonical_json
from mobile_vla.reporting.load import Run, grouped

# Settings that do not decide how a run is trained: which runs there are, and what else is scored.
BESIDE = ("subset", "seeds", "evaluate_on")


def sized(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Group runs whose settings differ in ``subset`` alone."""

    def rest(run: Run) -> str:
        settings = run.settings.settings
        return canonical_json({key: settings[key] for key in settings if key not in BESIDE})

    return list(grouped(runs, rest).values())


def training_episodes(run: Run) -> int:
    """Return the number of episodes that a run was trained on."""
    return run.training.episodes["train"]

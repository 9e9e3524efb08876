"""Facts of a run that is scored, for tests that score predictions made by hand."""

from __future__ import annotations

from typing import Any

from mobile_vla.evaluation.result import ScoredRun, TrainedOn
from mobile_vla.result import FileDigest

NO_FILE = FileDigest(sha256="0" * 64, size=0)


def scored_run(**changed: Any) -> ScoredRun:
    """Return a run that was trained and is scored on the same dataset."""
    facts: dict[str, Any] = {
        "experiment": "lora",
        "run": "seed0",
        "seed": 0,
        "dataset": "demo",
        "backbone": "tiny",
        "manifest": "m" * 64,
        "split": "s" * 64,
        "fold": 0,
        "folds": 1,
        "held_out": None,
        "subset": None,
        "scored_on": "test",
        **changed,
    }
    data = {name: facts[name] for name in ("dataset", "manifest", "split", "fold")}
    return ScoredRun(trained_on=TrainedOn(**data, subset=facts.pop("subset")), **facts)

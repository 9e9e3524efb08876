"""A training that takes some seconds, to do something to while it runs."""

from __future__ import annotations

from support.project import Project
from support.training_run import results_of

RUN = "results/experiments/head_only/seed0"
TARGET = f"{RUN}/training_results.json"
SHORT = "    finetune: none\n"
LONG = "    finetune: none\n    training: {epochs: 100}\n"


def lengthen(project: Project) -> None:
    """Make the training of a finished project one that takes some seconds."""
    project.edit("config.yaml", SHORT, LONG)


def saved(project: Project) -> bool:
    """Whether the training has saved a state."""
    return any((project.folder / RUN).glob(".work/*/state-*.json"))


def training_of(project: Project) -> dict[str, bytes]:
    """Return the bytes of what the training left, without those that hold times."""
    found = results_of(project.folder / RUN)
    return {
        name: content
        for name, content in found.items()
        if name.startswith(("policy", "last", "metrics"))
    }

"""Runs by how many episodes they were trained on: experiments that differ in ``subset`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mobile_vla.files import canonical_json
from mobile_vla.reporting.load import Run

# Settings that do not say how a run is trained: which runs there are, and what else is scored.
BESIDE = ("subset", "seeds", "evaluate_on")
NAMED = 3  # experiments that a label lists


@dataclass(frozen=True)
class Sized:
    """The runs of experiments that are the same but for ``subset``."""

    runs: tuple[Run, ...]

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    @property
    def label(self) -> str:
        """The experiments' names, or the first of them."""
        names = self.experiments
        return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")

    @property
    def means(self) -> list[tuple[int, float]]:
        """Number of training episodes and mean of the runs' MAE, in ascending order."""
        found: dict[int, list[float]] = {}
        for run in self.runs:
            found.setdefault(size_of(run), []).append(run.evaluation.policy_mae)
        return [(size, sum(values) / len(values)) for size, values in sorted(found.items())]


def size_of(run: Run) -> int:
    """Return how many episodes a run was trained on."""
    return run.training.episodes["train"]


def sized(runs: Sequence[Run]) -> list[Sized]:
    """Group runs whose settings differ in ``subset`` alone."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        settings = run.settings.settings
        rest = {name: value for name, value in settings.items() if name not in BESIDE}
        groups.setdefault(canonical_json(rest), []).append(run)
    return [Sized(tuple(group)) for group in groups.values()]

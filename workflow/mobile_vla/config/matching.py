"""Which run's optimiser steps a combination of a sweep takes over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mobile_vla.config.experiment import Experiment
from mobile_vla.config.sweep import Sweep
from mobile_vla.config.training import Matched


def matched(
    name: str, experiments: Mapping[str, Experiment], sweeps: Iterable[Sweep]
) -> Matched | None:
    """Return an experiment's sweep's first combination; None for itself and without `match`."""
    for sweep in sweeps:
        first, *others = (member.experiment for member in sweep.members)
        if sweep.match == "optimizer_steps" and name in others:
            other = experiments[first]
            return Matched(
                windows=other.windows(),
                subset=other.subset,
                mirror=other.augment.mirror,
                batch_size=other.training.batch_size,
                accumulation=other.training.accumulation,
                epochs=other.training.epochs,
            )
    return None

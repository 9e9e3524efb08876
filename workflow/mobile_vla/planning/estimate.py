"""Estimate how long planned jobs take, by what earlier ones took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from mobile_vla.errors import UserError
from mobile_vla.files import read_json
from mobile_vla.filesets import RESULTS
from mobile_vla.layout import TimingFiles, kind_of
from mobile_vla.planning.jobs import PlannedJob
from mobile_vla.timing.result import TimingResult

Source = Literal["own", "timing", "others"]
"""The last run of the same job, the experiment's timing, or other jobs of the same rule."""


@dataclass
class Estimator:
    """Knows what earlier jobs took, each kind of them read once."""

    others: dict[str, float | None] = field(default_factory=dict)

    def seconds(self, job: PlannedJob) -> tuple[float, Source] | None:
        """Return how long a job takes, and from what that is known; None where nothing is.

        A training's last run counts for as many epochs as it is to have now.
        """
        if job.last is not None:
            return job.last.seconds * _epochs(job), "own"
        if job.rule == "train" and (projected := _projected(job)) is not None:
            return projected, "timing"
        pattern = _pattern(job)
        if pattern is None:
            return None
        if pattern not in self.others:
            taken = list(_taken(pattern))
            self.others[pattern] = median(taken) if taken else None
        seconds = self.others[pattern]
        return None if seconds is None else (seconds, "others")


def _epochs(job: PlannedJob) -> float:
    """Return how many times as many epochs a training is to have as last time."""
    if job.rule != "train" or job.last is None or job.last.settings is None:
        return 1.0
    before: Any = job.last.settings
    return float(job.settings["training"]["epochs"] / before["training"]["epochs"])


def _projected(job: PlannedJob) -> float | None:
    """Return what the experiment's timing says of a full run, where there is one."""
    try:
        path = TimingFiles.below(experiment=job.wildcards["experiment"]).timing
        return TimingResult.read(path).projected_seconds
    except UserError:
        return None


def _pattern(job: PlannedJob) -> str | None:
    """Return where provenance like a job's lies, with a star for each name."""
    known = None if job.provenance is None else kind_of(job.provenance)
    return None if known is None else re.sub(r"{\w+}", "*", known[0].patterns()[-1])


def _taken(pattern: str) -> Iterator[float]:
    """Yield the seconds in provenance that lies where a pattern says."""
    for path in sorted(RESULTS.glob(pattern)):
        try:
            yield float(read_json(path)["seconds"])
        except (UserError, KeyError, TypeError, ValueError):
            continue  # another version's, or damaged

"""What the rules of advice look at, and what one of them says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.reporting.load import DatasetFacts, Run, first_runs
from mobile_vla.reporting.sweeps import SweepTable
from mobile_vla.texts import Texts


@dataclass(frozen=True)
class Advice:
    """What to do, why, and what to write into config.yaml or to type."""

    text: str
    evidence: str
    lines: str


@dataclass(frozen=True)
class Facts:
    """All that the rules look at."""

    scores: ComparisonResult
    runs: Sequence[Run]
    datasets: dict[str, DatasetFacts]
    sweeps: Sequence[SweepTable]
    t: Texts

    @property
    def first_runs(self) -> list[Run]:
        """The first run of each experiment."""
        return first_runs(self.runs)

    def names(self, names: Sequence[str]) -> str:
        """Return experiments by the first of their names."""
        if len(names) == 1:
            return names[0]
        return self.t("and_more", first=names[0], n=len(names) - 1)


def config_lines(section: str, name: str, **changed: object) -> str:
    """Return the lines of config.yaml that set something of a dataset or an experiment."""
    values = {
        key: yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
        for key, value in changed.items()
    }
    inner = [
        f"    {key}: {text.strip().removesuffix('...').strip()}" for key, text in values.items()
    ]
    return "\n".join([f"{section}:", f"  {name}:", *inner])

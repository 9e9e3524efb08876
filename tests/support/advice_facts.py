"""Facts for the rules of advice."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mobile_vla.audit.result import DatasetStatistics, Finding, Lengths, SharedSequence
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.reporting.advice.facts import Facts
from mobile_vla.reporting.load import DatasetFacts, Run, load_datasets, load_runs
from mobile_vla.reporting.sweeps import SweepTable
from mobile_vla.sentence import verbatim
from support.comparisons import compared, judged
from support.report import ENGLISH
from support.results import make_results


@cache
def stored() -> tuple[Run, DatasetFacts]:
    """Return a run and its dataset, as they are read from files."""
    with TemporaryDirectory() as folder:
        made = make_results(Path(folder), 1)
        (run,) = load_runs(made.settings, made.results)
        (facts,) = load_datasets(made.settings, made.results)
    return run, facts


def losses(*values: float) -> tuple[Any, ...]:
    """Return epochs with these losses."""
    first = stored()[0].epochs[0]
    return tuple(
        first.model_copy(update={"epoch": number, "val_loss": value, "train_loss": value})
        for number, value in enumerate(values)
    )


FLAT = (1.0, 0.5, 0.3, 0.2, 0.19, 0.185, 0.184, 0.184)


def run_of(name: str = "lora", **changed: Any) -> Run:
    """Return a run of which there is nothing to say."""
    run = stored()[0]
    settings = run.settings.model_copy(update={"experiment": name})
    return replace(run, **{"settings": settings, "epochs": losses(*FLAT), **changed})


def dataset(**audit: Any) -> DatasetFacts:
    """Return a dataset whose combinations are all recorded, by drives that differ."""
    facts = stored()[1]
    cells = tuple(own.model_copy(update={"episodes": 5}) for own in facts.audit.coverage)
    changed = facts.audit.model_copy(update={"coverage": cells, "findings": (), **audit})
    return replace(facts, audit=changed)


def facts_of(
    scores: ComparisonResult | None = None,
    run: Run | None = None,
    data: DatasetFacts | None = None,
    sweeps: tuple[SweepTable, ...] = (),
    runs: tuple[Run, ...] = (),
) -> Facts:
    """Return facts of which there is nothing to advise but by what is given."""
    every = runs or (run or run_of(),)
    result = scores or compared(judged("lora", "beats"))
    return Facts(result, every, {"demo": data or dataset()}, sweeps, ENGLISH)


def equal_drives(episodes: int, of: int) -> dict[str, Any]:
    """Return what the audit says where drives past the left have the same commands."""
    statistics = DatasetStatistics(
        usable=of,
        rejected=0,
        flagged=0,
        frames=20 * of,
        lengths=Lengths(min=20, median=20, max=20),
        actions={},
        motions={},
        image_mean=[],
        same_sequence={"left": SharedSequence(episodes=episodes, of=of, share=episodes / of)},
        time_periods={},
        dates={},
    )
    finding = Finding(
        code="same_sequence",
        severity="warning",
        episode=None,
        file=None,
        place="actions, side left",
        frames=(),
        found=verbatim(""),
        expected=verbatim(""),
        remedy=verbatim(""),
        accepted=None,
    )
    return {"statistics": statistics, "findings": (finding,)}

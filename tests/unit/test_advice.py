"""Advice of the report: what an experiment without a verdict needs, from the episodes it has."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.evaluation.result import Verdict
from mobile_vla.reporting.advice import advice
from mobile_vla.reporting.load import load_datasets
from support.report import ENGLISH
from support.results import Results, make_results


@cache
def results() -> Results:
    return make_results(Path(mkdtemp()), 1)


def advised(
    usable: int, outcome: str, tested: int, needed: int | None = None, kind: str = "holdout"
) -> str:
    made = results()
    (own,) = ComparisonResult.read(made.comparison).experiments
    (facts,) = load_datasets(made.settings, made.results)
    episodes = (facts.manifest.episodes * 10)[:usable]
    changed: dict[str, Any] = {"outcome": outcome, "episodes": tested, "needed": needed}
    verdict = Verdict.model_validate({**own.verdict.model_dump(), **changed})
    settings = facts.split.settings.model_copy(update={"kind": kind})
    return advice(
        own.model_copy(update={"verdict": verdict, "episodes": tested}),
        replace(
            facts,
            manifest=facts.manifest.model_copy(update={"episodes": episodes}),
            split=facts.split.model_copy(update={"settings": settings}),
        ),
        ENGLISH,
    )


@pytest.mark.parametrize(
    ("usable", "outcome", "tested", "needed", "says"),
    [
        (13, "no_verdict", 2, None, "`kfold` scores all 13."),
        (13, "inconclusive", 2, None, "`kfold` scores all 13."),
        (13, "inconclusive", 2, 40, "`kfold` would score all 13 usable episodes, and a conclusion"),
        (100, "no_verdict", 15, None, "a test share of at least 0.08, which is 8 test episodes"),
        (100, "inconclusive", 15, 28, "a test share of at least 0.28, which is 28 test episodes"),
        (100, "inconclusive", 15, 60, "A verdict takes 60 test episodes, and a test set of so"),
        (5, "no_verdict", 1, None, "Of 5 usable episodes no split leaves the 8 test episodes"),
        (1, "inconclusive", 1, None, "Of 1 usable episode no split"),
    ],
)
def test_advice_is_computed_from_the_episodes_that_there_are(
    usable: int, outcome: str, tested: int, needed: int | None, says: str
) -> None:
    assert says in advised(usable, outcome, tested, needed)


@pytest.mark.parametrize(
    ("usable", "outcome", "tested", "kind"),
    [
        (13, "beats", 13, "kfold"),
        (13, "does_not_beat", 2, "holdout"),
        (13, "inconclusive", 13, "kfold"),  # all are scored already
        (60, "inconclusive", 20, "leave_one_out"),  # it asks another question than a k-fold
        (60, "inconclusive", 9, "holdout"),  # what is seen is no difference that more would show
    ],
)
def test_where_nothing_would_help_nothing_is_advised(
    usable: int, outcome: str, tested: int, kind: str
) -> None:
    assert advised(usable, outcome, tested, kind=kind) == ""

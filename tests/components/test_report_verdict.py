"""Verdicts as sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mobile_vla.evaluation.result import Verdict
from mobile_vla.reporting.load import load_runs
from mobile_vla.reporting.summary import Line, lines
from mobile_vla.reporting.verdict import judged as judged_in_words
from support.comparisons import compared, judged
from support.report import ENGLISH
from support.results import make_results


def said(own: dict[str, Any], tmp_path: Path) -> Line:
    made = make_results(tmp_path, 1)
    runs = load_runs(made.settings, made.results)
    return lines(compared(own), runs, ENGLISH)[0]


def test_a_line_has_the_numbers_with_their_intervals(tmp_path: Path) -> None:
    found = said(judged("lora", "beats"), tmp_path)
    assert found.verdict == "It is ahead of every baseline, the best of which is replay."
    assert found.sentence.replace("\u00a0", " ") == (
        "Mean absolute error 0.150 (95 %: 0.130 to 0.170) command units; replay 0.200; "
        "difference −0.0500 (−0.0700 to −0.0300), on 12 test episodes (840 steps)."
    )
    assert found.low is not None and found.high is not None
    assert found.low < found.at < found.high < found.baseline_at  # 0.13, 0.15, 0.17, 0.2


def measure(name: str, policy: float, best: float, ahead: str | None) -> dict[str, Any]:
    tolerance = 0.2 if name == "tolerance" else None
    found = {"name": name, "tolerance": tolerance, "policy": policy, "best": best, "ahead": ahead}
    return {**found, "baseline": "majority_action"}


MEASURES = [
    measure("tolerance", 0.49, 0.57, "baseline"),
    measure("direction", 0.9, 0.8, "policy"),
    measure("rmse", 0.5, 0.4, "baseline"),
    measure("macro_f1", 0.5, 0.5, None),
]


@pytest.mark.parametrize(
    ("outcome", "added"),
    [
        (
            "beats",
            " By other measures a baseline is ahead: steps within 0.200 of the truth (majority "
            "action 57 %, policy 49 %); root mean squared error (majority action 0.400, policy "
            "0.500).",
        ),
        (
            "does_not_beat",
            " By other measures it is ahead of every baseline: right directions (majority action "
            "80 %, policy 90 %).",
        ),
        ("inconclusive", ""),
        ("no_verdict", ""),
    ],
)
def test_a_measure_that_disagrees_with_the_verdict_is_said_beside_it(
    outcome: str, added: str, tmp_path: Path
) -> None:
    alone = said(judged("lora", outcome), tmp_path / "a").verdict
    found = said(judged("lora", outcome, measures=MEASURES), tmp_path / "b").verdict
    assert found.replace("\u00a0", " ") == alone + added


def test_seeds_and_folds_are_named(tmp_path: Path) -> None:
    found = said(judged("lora", "inconclusive", seeds=3, folds=5), tmp_path)
    assert dict(found.facts)["seeds"] == "3 × 5 folds"


def test_without_test_episodes_the_number_is_said_to_flatter(tmp_path: Path) -> None:
    text = said(judged("lora", "no_verdict"), tmp_path).sentence
    assert text.endswith("on 12 val episodes (840 steps). The number flatters it.")


def test_that_there_is_no_interval_is_said_and_none_is_drawn(tmp_path: Path) -> None:
    own = judged("lora", "inconclusive", interval=False)
    own["mae"] |= {"low": None, "high": None}
    found = said(own, tmp_path)
    assert found.sentence.count("(these episodes give no interval)") == 2
    assert found.low is None and found.high is None


def test_what_a_policy_ignores_and_what_a_verdict_would_need_are_said() -> None:
    verdict = {**judged("lora", "inconclusive")["verdict"], "needed": 12345}
    told = judged_in_words(Verdict.model_validate(verdict), ENGLISH)
    assert told.endswith("would take about 12,000 episodes.")
    blind = {**verdict, "outcome": "does_not_beat", "image": "ignored", "needed": None}
    assert judged_in_words(Verdict.model_validate(blind), ENGLISH).endswith(
        "It ignores its images."
    )

"""Verdicts as sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.evaluation.result import Verdict
from mobile_vla.reporting.load import load_runs
from mobile_vla.reporting.summary import Line, lines
from mobile_vla.reporting.verdict import judged as judged_in_words
from mobile_vla.reporting.verdict import overview
from support.report import ENGLISH
from support.results import make_results


def judged(name: str, outcome: str, interval: bool = True, **changed: Any) -> dict[str, Any]:
    gap = {"value": -0.05, "low": -0.07, "high": -0.03, "p": 0.01, "p_holm": 0.02, "needed": None}
    if not interval:
        gap |= dict.fromkeys(("low", "high", "p", "p_holm"))
    mae = {"value": 0.15, "low": 0.13, "high": 0.17, "confidence": 0.95, "method": "percentile"}
    return {
        "experiment": name,
        "dataset": "demo",
        "scored_on": "val" if outcome == "no_verdict" else "test",
        "seeds": 1,
        "folds": 1,
        "episodes": 12,
        "steps": 840,
        "mae": {**mae, "episodes": 12},
        "baselines": {"replay": 0.2},
        "controls": {},
        "best_baseline": {"name": "replay", "mae": 0.2},
        "skill": 0.25,
        "differences": {"replay": gap},
        "verdict": {
            "outcome": outcome,
            "against": "replay",
            "episodes": 12,
            "needed": None,
            "image": "used",
            "prompt": "used",
        },
        "measures": [],
        "runs": [],
        **changed,
    }


def scores(*experiments: dict[str, Any], better: tuple[str | None, ...] = ()) -> ComparisonResult:
    names = [own["experiment"] for own in experiments]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return ComparisonResult.model_validate(
        {
            "confidence": 0.95,
            "experiments": list(experiments),
            "groups": [
                {
                    "dataset": "demo",
                    "scored_on": "test",
                    "dimensions": ["linear_x"],
                    "episodes": 12,
                    "steps": 840,
                    "experiments": [
                        {"experiment": name, "mae": None, "steps_left_out": []} for name in names
                    ],
                    "pairs": [
                        {
                            "experiments": pair,
                            "difference": 0.0,
                            "low": None,
                            "high": None,
                            "confidence": 0.95,
                            "p": 1.0,
                            "p_holm": 1.0,
                            "better": won,
                            "needed": None,
                        }
                        for pair, won in zip(pairs, better, strict=True)
                    ],
                    "why_no_pairs": None,
                }
            ],
            "not_compared": [],
        }
    )


def said(own: dict[str, Any], tmp_path: Path) -> Line:
    made = make_results(tmp_path, 1)
    runs = load_runs(made.settings, made.results)
    return lines(scores(own), runs, ENGLISH)[0]


def test_a_line_has_the_numbers_with_their_intervals(tmp_path: Path) -> None:
    found = said(judged("lora", "beats"), tmp_path)
    assert found.verdict == "It beats every baseline, the best of which is replay."
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
    assert judged_in_words(Verdict.model_validate(blind), ENGLISH).endswith("It ignores the image.")


@pytest.mark.parametrize(
    ("outcomes", "better", "start"),
    [
        (["beats", "beats"], ("a",), "All 2 experiments beat every baseline on their test"),
        (["beats", "does_not_beat"], (None,), "1 of 2 experiments beats every baseline on its"),
        (["does_not_beat"] * 2, (None,), "None of 2 experiments beats every baseline on its"),
        (["does_not_beat"], (), "The experiment does not beat the baselines"),
        (["inconclusive"], (), "From its test episodes it is inconclusive whether"),
        (["beats"], (), "The experiment beats every baseline"),
    ],
)
def test_overview(outcomes: list[str], better: tuple[str | None, ...], start: str) -> None:
    every = [judged(name, outcome) for name, outcome in zip("abc", outcomes, strict=False)]
    found = overview(scores(*every, better=better), ENGLISH)
    assert found.startswith(start)
    if better == ("a",):
        assert found.endswith("a has a lower error than all others.")
    elif better:
        assert found.endswith("It is inconclusive which of them has the lowest error.")


def test_overview_without_test_episodes() -> None:
    found = overview(
        scores(judged("a", "no_verdict"), judged("b", "no_verdict"), better=(None,)), ENGLISH
    )
    assert found == "Without test episodes there is no verdict on any experiment."

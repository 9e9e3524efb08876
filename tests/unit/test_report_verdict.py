"""Verdicts as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from mobile_vla.reporting.scores import Scores
from mobile_vla.reporting.verdict import line, overview

WORDS = {
    "beats": "it beats every baseline, the best of which is replay",
    "does_not_beat": "it does not beat the best baseline, replay",
    "cannot_be_told": "whether it beats the best baseline, replay, cannot be told from 12 episodes",
    "no_verdict": "there is no verdict, because the scored episodes chose its checkpoint",
}


def judged(name: str, outcome: str, low: float | None = -0.07, **changed: Any) -> dict[str, Any]:
    gap = {"value": -0.05, "low": low, "high": -0.03, "p": 0.01, "p_holm": 0.02}
    mae = {"value": 0.15, "low": 0.13, "high": 0.17, "confidence": 0.95, "method": ""}
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
            "text": WORDS[outcome],
        },
        **changed,
    }


def scores(*experiments: dict[str, Any], better: tuple[str | None, ...] = ()) -> Scores:
    names = [own["experiment"] for own in experiments]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return Scores.model_validate(
        {
            "confidence": 0.95,
            "correction": "Holm",
            "experiments": list(experiments),
            "groups": [
                {
                    "dataset": "demo",
                    "scored_on": "test",
                    "episodes": 12,
                    "steps": 840,
                    "experiments": [{"experiment": name} for name in names],
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
                            "text": "",
                        }
                        for pair, won in zip(pairs, better, strict=True)
                    ],
                    "why_no_pairs": None,
                }
            ],
            "not_compared": [],
        }
    )


def said(own: dict[str, Any]) -> str:
    read = scores(own).experiments[0]
    return line(read).sentence.replace("\u00a0", " ")


def test_a_line_has_the_numbers_with_their_intervals() -> None:
    assert said(judged("lora", "beats")) == (
        "it beats every baseline, the best of which is replay. Mean absolute error 0.150 "
        "(95 %: 0.130 to 0.170) command units; replay 0.200; difference −0.0500 (−0.0700 to "
        "−0.0300), on 12 test episodes."
    )


def test_seeds_and_folds_are_named() -> None:
    text = said(judged("lora", "cannot_be_told", seeds=3, folds=5))
    assert text.endswith("on 12 test episodes in 5 folds, mean of 3 seeds.")


def test_without_test_episodes_the_number_is_said_to_flatter() -> None:
    text = said(judged("lora", "no_verdict"))
    assert "on 12 val episodes. The number flatters it." in text
    assert "give the split a test share" in text


def test_an_open_interval_is_said() -> None:
    assert "too few episodes for an interval" in said(judged("lora", "cannot_be_told", low=None))


@pytest.mark.parametrize(
    ("outcomes", "better", "start"),
    [
        (["beats", "beats"], ("a",), "All 2 experiments beat every baseline on their test"),
        (["beats", "does_not_beat"], (None,), "1 of 2 experiments beats every baseline on its"),
        (["does_not_beat"] * 2, (None,), "None of 2 experiments beat every baseline on their"),
        (["does_not_beat"], (), "The experiment does not beat the baselines"),
        (["cannot_be_told"], (), "Whether the experiment beats the baselines cannot be told"),
        (["beats"], (), "The experiment beats every baseline"),
    ],
)
def test_overview(outcomes: list[str], better: tuple[str | None, ...], start: str) -> None:
    every = [judged(name, outcome) for name, outcome in zip("abc", outcomes, strict=False)]
    found = overview(scores(*every, better=better))
    assert found.startswith(start)
    if better == ("a",):
        assert found.endswith("a has a lower error than all others.")
    elif better:
        assert found.endswith("That any one of them has the lowest error cannot be told.")


def test_overview_without_test_episodes() -> None:
    found = overview(scores(judged("a", "no_verdict"), judged("b", "no_verdict"), better=(None,)))
    assert found == "Without test episodes there is no verdict on any experiment."

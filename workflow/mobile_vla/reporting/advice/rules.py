"""The rules of advice, each a function of the facts that advises something or nothing."""

from __future__ import annotations

from collections.abc import Callable

from mobile_vla.reporting.advice.facts import Advice, Facts
from mobile_vla.reporting.advice.recording import coverage, drives, more_data
from mobile_vla.reporting.advice.scoring import larger_test
from mobile_vla.reporting.advice.training import cost, epochs, language, match, windows

SHOWN = 3  # pieces of advice on the page

Rule = Callable[[Facts], Advice | None]

RULES: tuple[Rule, ...] = (
    larger_test,
    drives,
    coverage,
    language,
    match,
    windows,
    epochs,
    more_data,
    cost,
)
"""The most useful first."""


def advise(facts: Facts) -> list[Advice]:
    """Return what the first rules that apply advise."""
    found = (rule(facts) for rule in RULES)
    return [each for each in found if each is not None][:SHOWN]

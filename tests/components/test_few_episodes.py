"""Results that rest on very few episodes: what they do not carry is in no file, table or text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mobile_vla.reporting.format import MISSING
from support.report import drawn, tabulated, written
from support.results import make_results


def entries(content: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of a JSON content."""
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    for each in content if isinstance(content, list) else []:
        yield from entries(each)


@pytest.mark.parametrize("tested", [1, 2, 3])
def test_nowhere_is_half_an_interval_or_a_p_value_without_one(tested: int, tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, tested=tested)
    for path in (made.comparison, *made.evaluations):
        content = json.loads(path.read_text())
        for group in content.get("groups", []):
            del group["driven"]  # rests on the scenes of rollouts, which are not few
        found = [own for own in entries(content) if "low" in own]
        assert found
        for own in found:
            values = [own[name] for name in ("low", "high", "p", "p_holm") if name in own]
            assert values == [None] * len(values)
            assert own.get("needed") is None
            assert own.get("better") is None
    with tabulated(made)["verdicts"].open() as file:
        for line in csv.DictReader(file):
            assert [line[name] for name in ("mae_low", "mae_high", "low", "high", "p")] == [""] * 5


def test_page_and_figure_cope_without_intervals(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, tested=1)
    drawing = drawn(made, ["differences"])["differences"].read_text()
    assert "lora less zero: " in drawing and " to " not in drawing
    page = written(made).read_text()
    assert "these episodes give no interval" in page
    assert f'data-v="">{MISSING}</td>' in page  # the p value
    for nothing in (">None<", "nan", "inf ", f"{MISSING} to"):
        assert nothing not in page.partition("<main>")[2].partition('id="provenance"')[0], nothing

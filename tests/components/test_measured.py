"""Each measured number of the page has a name, which leads to it in the results."""

from __future__ import annotations

import csv
import functools
import html
import json
import re
from pathlib import Path

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.errors import Problems
from mobile_vla.reporting import measured
from mobile_vla.reporting.measured import Measured, find, named, names_of
from support.report import written
from support.results import Results, make_results

READ_ONCE = functools.cache(measured.content_of)
CELL = re.compile(r'<t[dh][^>]* data-number="([^"]+)"[^>]*>')
SORTED_BY = re.compile(r'data-v="([^"]*)"')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return the results of two experiments, one scored elsewhere as well, with their page."""
    made = make_results(tmp_path_factory.mktemp("made"), 2, others=("corridor",))
    written(made)
    return made


@pytest.fixture(scope="module")
def cells(made: Results) -> list[tuple[list[str], str]]:
    """Return the names in each cell of the page, with what it is sorted by."""
    page = (made.results / "report.html").read_text(encoding="utf-8")
    return [
        (html.unescape(match[1]).split(), (SORTED_BY.findall(match[0]) or [""])[0])
        for match in CELL.finditer(page)
    ]


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each file once, of which the page names hundreds of numbers."""
    monkeypatch.setattr(measured, "content_of", READ_ONCE)


def value_of(name: str, made: Results) -> float:
    (value,) = find(name, made.results).numbers(made.results, made.results).values()
    return value


def test_every_name_on_the_page_leads_to_the_number_that_stands_there(
    made: Results, cells: list[tuple[list[str], str]]
) -> None:
    assert len(cells) > 100
    for names, sorted_by in cells:
        values = [value_of(name, made) for name in names]
        if sorted_by:
            assert values[0] == float(sorted_by), names


def test_the_ranked_table_names_error_and_interval(
    made: Results, cells: list[tuple[list[str], str]]
) -> None:
    scores = ComparisonResult.read(made.comparison)
    for own in scores.groups[0].experiments:
        name = f"comparison/groups/demo/experiments/{own.experiment}/mae"
        assert own.mae is not None
        assert [f"{name}/value", f"{name}/low", f"{name}/high"] in [names for names, _ in cells]
        expected = own.mae.value, own.mae.low, own.mae.high
        numbers = find(name, made.results).numbers(made.results, made.results)
        assert tuple(numbers.values())[:3] == expected


def test_pairs_are_named_by_their_experiments(made: Results) -> None:
    name = "comparison/groups/demo/pairs/lora-vs-lora_r8/difference"
    assert (
        value_of(name, made) == ComparisonResult.read(made.comparison).groups[0].pairs[0].difference
    )


def test_losses_are_named_by_run_and_epoch(
    made: Results, cells: list[tuple[list[str], str]]
) -> None:
    name = "experiments/lora/seed0/metrics/1/val_loss"
    assert [name] in [names for names, _ in cells]
    rows = list(csv.DictReader(made.metrics[0].open()))
    assert value_of(name, made) == float(rows[1]["val_loss"])


def test_what_the_page_computes_itself_has_no_name(cells: list[tuple[list[str], str]]) -> None:
    stand_in_results = {name for names, _ in cells for name in names}
    assert not any("cumulative" in name or "gap" in name for name in stand_in_results)


def test_a_number_is_computed_with_like_any_other() -> None:
    number = Measured(1.5, "a/b")
    assert (number, number + 1, json.dumps(number), f"{number:.2f}") == (1.5, 2.5, "1.5", "1.50")
    assert names_of(number, number + 1, None, "text") == "a/b"


def test_names_hold_no_space_and_no_second_meaning_of_a_slash(tmp_path: Path) -> None:
    path = tmp_path / "results/some name.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"a/b c": {"50%": 1.5}, "a": {"b c": {"50%": 2.5}}}))
    content = named(json.loads(path.read_text()), path, path.parent)
    name = names_of(content["a/b c"]["50%"])
    assert name == "some%20name/a%2Fb%20c/50%25"
    assert find(name, path.parent).numbers(path.parent, path.parent) == {name: 1.5}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        (
            "lora/seed0/evaluation/policy/mae",
            "experiments/lora/seed0/evaluation/policy/mae/overall",
        ),
        (
            "experiments/lora/seed0/evaluation/policy/mea/overall",
            "experiments/lora/seed0/evaluation/policy/mae/overall",
        ),
        ("comparison/confidance", "comparison/confidence"),
    ],
)
def test_of_a_wrong_name_the_nearest_are_said(made: Results, wrong: str, meant: str) -> None:
    with pytest.raises(Problems, match="no number has this name") as raised:
        find(wrong, made.results)
    assert meant in str(raised.value)

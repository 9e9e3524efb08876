"""The ranked table: its order, its letters, its axis, and that groups are not mixed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.reporting.load import Run, load_runs
from mobile_vla.reporting.ranking import OPTIONAL, Axis, Ranking, rankings
from support.comparisons import BASELINE, compared, judged
from support.report import ENGLISH
from support.results import Results, make_results

FOLDER = TemporaryDirectory()  # gone with the interpreter


@cache
def results() -> Results:
    return make_results(Path(FOLDER.name), 3)


@cache
def runs() -> tuple[Run, ...]:
    return load_runs(results().settings, results().results)


NAMES = ("lora", "lora_r8", "head_only")


def ranked(scores: ComparisonResult) -> tuple[Ranking, ...]:
    return rankings(scores, runs(), {}, ENGLISH)


def of_error(name: str, value: float, outcome: str = "beats") -> dict[str, object]:
    mae = {"confidence": 0.95, "method": "percentile", "groups": 12}
    ends = {"value": value, "low": value - 0.02, "high": value + 0.02}
    own = judged(name, outcome, mae={**mae, **ends})
    own["baselines"]["zero"] = 3 * BASELINE
    own["differences"]["zero"] = own["differences"]["replay"]
    return own


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.199, 0.322, 0.282], ["0.15", "0.20", "0.25", "0.30", "0.35"]),
        ([0.051, 0.102], ["0.04", "0.06", "0.08", "0.10", "0.12"]),
        ([0.0, 1.9], ["0.0", "0.5", "1.0", "1.5", "2.0"]),
        ([0.2, 0.2], ["0.20", "0.25"]),
        ([0.0, 0.0], ["0.00", "0.25"]),
        ([120.0, 700.0], ["0", "200", "400", "600", "800"]),
    ],
)
def test_an_axis_has_round_ends_around_all_values(values: list[float], labels: list[str]) -> None:
    axis = Axis.around(values)
    assert axis.low <= min(values) and max(values) <= axis.high
    found = [label for _, label in axis.ticks]
    assert [float(label) for label in found] == pytest.approx(marks(axis))
    assert found == labels
    places = [place for place, _ in axis.ticks]
    assert places[0] == 0 and places[-1] == pytest.approx(100)


def marks(axis: Axis) -> list[float]:
    return [axis.low + place / 100 * (axis.high - axis.low) for place, _ in axis.ticks]


def test_rows_stand_in_the_order_of_their_errors_with_letters_and_verdicts() -> None:
    scores = compared(
        of_error("lora_r8", 0.11),
        of_error("head_only", 0.13, "inconclusive"),
        of_error("lora", 0.21, "does_not_beat"),
        ahead=[("lora_r8", "lora"), ("head_only", "lora")],
    )
    (table,) = ranked(scores)
    assert [row.experiment for row in table.rows] == ["lora_r8", "head_only", "lora"]
    assert [row.letters for row in table.rows] == ["a", "a", "b"]
    assert [row.word for row in table.rows] == ["ahead", "inconclusive", "behind"]
    assert [row.mae.text for row in table.rows] == ["0.110", "0.130", "0.210"]
    assert [row.interval for row in table.rows] == [
        "0.090 to 0.130",
        "0.110 to 0.150",
        "0.190 to 0.230",
    ]
    for row in table.rows:
        assert row.low is not None and row.high is not None
        assert 0 <= row.low < row.at < row.high <= 100
        assert row.baseline_at == table.axis.place(BASELINE)
        assert row.baseline.text == "replay 0.200"
        assert len(row.optional) == len(OPTIONAL)
    assert table.ranked and not table.partial and table.driven
    assert table.caption == "Experiments on demo, 12 test episodes, lowest error first"


def test_different_data_are_not_ranked_together() -> None:
    one = compared(of_error("lora", 0.1))
    other = compared(judged("lora_r8", "beats", dataset="yard"))
    both = one.model_copy(
        update={
            "experiments": [*one.experiments, *other.experiments],
            "groups": [*one.groups, *other.groups],
        }
    )
    tables = ranked(both)
    assert [[row.experiment for row in table.rows] for table in tables] == [["lora"], ["lora_r8"]]
    assert [re.findall("on ([a-z]+)", table.caption) for table in tables] == [["demo"], ["yard"]]
    assert not any(table.ranked for table in tables)


def test_without_common_steps_there_is_no_order_and_no_letter() -> None:
    experiments = (of_error("lora", 0.3), of_error("lora_r8", 0.1))
    (table,) = ranked(compared(*experiments, why="they share no step"))
    assert [row.experiment for row in table.rows] == ["lora", "lora_r8"]
    assert [row.letters for row in table.rows] == ["", ""]
    assert table.caption == "Experiments on demo, not ranked"


def test_a_baseline_on_other_steps_is_not_drawn_beside_the_common_ones(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, chunks=(10, 6))
    scores = ComparisonResult.read(made.comparison)
    (table,) = rankings(scores, load_runs(made.settings, made.results), {}, ENGLISH)
    assert table.partial and table.ranked
    for row in table.rows:
        (member,) = (
            own for own in scores.groups[0].experiments if own.experiment == row.experiment
        )
        assert member.mae is not None and row.mae.value == member.mae.value
        assert row.baseline_at is None and not re.search(r"\d", row.baseline.text)


def test_several_runs_have_a_range_of_successes() -> None:
    run = runs()[0]
    assert run.rollouts is not None
    drivers = {**run.rollouts.drivers, "policy": run.rollouts.drivers["replay"]}
    worse = run.rollouts.model_copy(update={"drivers": drivers})
    seed1 = Run(**{**vars(run), "rollouts": worse})
    scores = compared(of_error("lora", 0.1))
    (table,) = rankings(scores, (run, seed1), {}, ENGLISH)
    assert table.rows[0].success.text.replace("\u00a0", " ") == "0 % to 62 % (2 runs)"
    (alone,) = rankings(scores, (run,), {}, ENGLISH)
    assert re.fullmatch(r"62.% \(\d+.%\sto\s\d+.%\)", alone.rows[0].success.text)
    recorded = Run(**{**vars(run), "rollouts": None})
    (none,) = rankings(scores, (recorded,), {}, ENGLISH)
    assert not none.driven and none.rows[0].success.text == "–"


def test_a_failure_beyond_every_baseline_does_not_squeeze_the_others() -> None:
    near = compared(of_error("lora", 0.02), of_error("lora_r8", 0.59))
    (table,) = ranked(near)
    assert not any(row.beyond for row in table.rows)
    (table,) = ranked(compared(of_error("lora", 0.1), of_error("lora_r8", 1.3)))
    assert [row.beyond for row in table.rows] == [False, True]
    assert table.axis.high < 0.3 and table.rows[1].at == 100
    (alone,) = ranked(compared(of_error("lora", 1.3)))  # and no other to be squeezed
    assert not alone.rows[0].beyond


def test_errors_stand_in_the_units_that_a_dataset_says_too() -> None:
    scores = compared(of_error("lora", 0.1), of_error("lora_r8", 0.3))
    said = {"linear_x": "0.2 m/s", "linear_y": "0.2 m/s"}
    (table,) = rankings(scores, runs(), {"demo": said}, ENGLISH)
    assert table.physical
    assert [row.physical.replace("\u00a0", " ") for row in table.rows] == [
        "0.0200 m/s",
        "0.0600 m/s",
    ]
    (plain,) = rankings(scores, runs(), {"yard": said}, ENGLISH)
    assert not plain.physical and plain.rows[0].physical == ""

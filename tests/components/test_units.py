"""Errors in metres or radians a second, where a dataset says what its commands are."""

import csv
import re

import pytest

from mobile_vla.config.units import unit_of
from mobile_vla.errors import Problems
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.reporting.units import in_units, listed_units
from support import config_text
from support.config_text import load
from support.report import tabulated, written
from support.results import make_results

SAME = {"linear_x": "0.2 m/s", "linear_y": "0.2 m/s"}
OTHER = {"linear_x": "0.2 m/s", "linear_y": "0.5 m/s"}

WRONG = (
    *("{linear_x: 0.2 rad/s}", "{angular_z: m/s}", "{linear_x: 0 m/s}", "{linear_x: 5 km/h}"),
    "{linear_z: m/s}",
)


def made_with(tmp_path, units):
    made = make_results(tmp_path, 1)
    made.settings = made.settings.model_copy(update={"units": units})
    return made


def config(units):
    return config_text.BASE.replace("kind: simulated", f"kind: simulated, units: {units}")


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_unit_is_a_number_of_it():
    assert unit_of("0.25 m/s") == (0.25, "m/s")
    assert unit_of("rad/s") == (1.0, "rad/s")
    assert listed_units({"linear_x": "0.20 m/s", "angular_z": "rad/s"}) == (
        "linear_x 0.2 m/s, angular_z 1 rad/s"
    )


def test_units_change_no_settings_but_those_of_tables_and_page(tmp_path):
    plain, given = load(config("{}"), tmp_path), load(config("{linear_x: 0.2 m/s}"), tmp_path)
    for make in ("train", "evaluate", "language", "rollout"):
        assert getattr(plain, make)("lora", "seed0") == getattr(given, make)("lora", "seed0")
    for make in ("audit_data", "audit", "manifest", "split", "flags"):
        assert getattr(plain, make)("demo") == getattr(given, make)("demo")
    assert plain.figures() == given.figures() and plain.compare() == given.compare()
    assert given.tables().units == given.page().units == {"demo": {"linear_x": "0.2 m/s"}}
    assert plain.tables().units == {}


@pytest.mark.parametrize("text", WRONG)
def test_a_unit_that_a_dimension_does_not_have_is_refused(tmp_path, text):
    with pytest.raises(Problems) as caught:
        load(config(text), tmp_path)
    (problem,) = caught.value.problems
    assert "units" in problem.place
    assert re.search(r"such as '0.2 (m|rad)/s'|linear_x, linear_y or angular_z", str(problem))


def test_errors_are_multiplied_by_what_a_command_is(tmp_path):
    tables = tabulated(made_with(tmp_path, {"demo": OTHER}))
    factors = {"linear_x": 0.2, "linear_y": 0.5}
    lines = read(tables["errors"])
    assert {line["metric"] for line in lines} == {"mae", "mse", "rmse", "r2"}
    for line in lines:
        factor = factors.get(line["dimension"])
        if line["metric"] in ("mse", "r2") or factor is None:  # overall has none here
            assert line["physical_value"] == line["physical_unit"] == ""
            continue
        assert float(line["physical_value"]) == pytest.approx(factor * float(line["value"]))
        assert line["physical_unit"] == "m/s"


def test_the_overall_error_has_a_unit_where_all_dimensions_have_the_same(tmp_path):
    tables = tabulated(made_with(tmp_path, {"demo": SAME}))
    (line,) = read(tables["experiments"])
    assert line["physical_unit"] == "m/s"
    physical = float(line["physical_value"])
    assert physical == pytest.approx(0.2 * float(line["mae_command_units"]))


def test_the_page_shows_both_units_of_the_datasets_that_say_them_and_of_no_other(tmp_path):
    made = made_with(tmp_path, {"demo": SAME})
    html = written(made).read_text()
    assert "One unit of a command is linear_x 0.2 m/s, linear_y 0.2 m/s." in html
    table = html.split("policy or baseline")[1].split("</table>")[0]
    rows, columns, metrics = table.count("</th>\n<td"), 3, 2
    assert table.count("m/s<") == rows * columns * metrics > 0
    by_step = html.split("MAE of lora by step")[-1].split("</table>")[0]
    assert re.search(r"<br>[\d.]+\xa0m/s</td>", by_step)
    made.settings = made.settings.model_copy(update={"units": {"other": SAME}})
    assert (
        "m/s" not in written(made).read_text().split("policy or baseline")[1].split("</table>")[0]
    )
    assert "One unit of" not in written(made).read_text()


def test_a_dataset_s_errors_are_in_its_units(tmp_path):
    made = make_results(tmp_path, 1)
    scored = EvaluationResult.read(made.evaluations[0])
    units = {"demo": {"linear_x": "0.2 m/s"}, "other": {"linear_x": "0.7 m/s"}}
    assert in_units(scored, units, "mae", "linear_x", 0.5) == (pytest.approx(0.1), "m/s")
    elsewhere = scored.model_copy(update={"dataset": "other"})
    assert in_units(elsewhere, units, "mae", "linear_x", 0.5) == (pytest.approx(0.35), "m/s")
    assert in_units(scored, units, "mae", "overall", 0.5) is None


def test_what_is_scored_on_another_dataset_has_that_one_s_units(tmp_path):
    made = make_results(tmp_path, 1, others=("corridor",))
    made.settings = made.settings.model_copy(update={"units": {"corridor": SAME}})
    tables = tabulated(made)
    (line,) = read(tables["elsewhere"])
    physical = float(line["physical_value"])
    assert physical == pytest.approx(0.2 * float(line["mae_command_units"]))
    assert read(tables["experiments"])[0]["physical_unit"] == ""
    row = written(made).read_text().split("<td>corridor</td>")[1].split("</tr>")[0]
    assert row.count("m/s") == 2  # the policy's and the baseline's, and not that on its own test

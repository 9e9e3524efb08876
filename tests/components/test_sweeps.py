"""Sweeps: names that stay, settings that are what they would be alone, and equal training."""

import csv
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import Sweep, SweepMember
from mobile_vla.config.schema import config_schema
from mobile_vla.errors import Problems
from mobile_vla.reporting.load import load_runs
from mobile_vla.reporting.sweeps import sweep_tables
from support import config_text
from support.report import drawn, tabulated, written
from support.results import make_results

PRESETS = """\
presets:
  small: {lora: {r: 2}, window: 2}
  large: {lora: {r: 64}, window: 3}
"""
BASE = PRESETS + config_text.BASE.removesuffix("  lora: {}\n")


def load(experiments, tmp_path, base=BASE):
    return config_text.load(base + experiments, tmp_path)


def problems(experiments, tmp_path):
    return config_text.problems(BASE + experiments, tmp_path)


def names(experiments, tmp_path):
    return list(load(experiments, tmp_path).experiments)


def test_each_combination_is_an_experiment_with_a_readable_name(tmp_path):
    project = load("  rank: {sweep: {lora.r: [4, 8], window: [1, 4]}, seeds: [0, 1]}\n", tmp_path)
    assert list(project.experiments) == [
        "rank-r4-window1",
        "rank-r4-window4",
        "rank-r8-window1",
        "rank-r8-window4",
    ]
    one = project.experiments["rank-r8-window1"]
    assert (one.lora.r, one.lora.alpha, one.window, one.seeds) == (8, 16, 1, (0, 1))
    (sweep,) = project.page().sweeps
    assert sweep.keys == ("lora.r", "window")
    assert sweep.members[2].values == {"lora.r": 8, "window": 1}


def test_names_depend_on_the_combination_alone(tmp_path):
    first = names("  a: {sweep: {lora.r: [4, 8], window: [1, 4]}}\n", tmp_path)
    other = names("  a: {sweep: {window: [4, 2, 1], lora.r: [16, 8, 4]}}\n", tmp_path)
    assert set(first) < set(other)


def test_a_combination_is_what_it_would_be_alone(tmp_path):
    project = load(
        "  a: {sweep: {lora.r: [4, 8]}, lora: {alpha: 4}}\n  b: {lora: {r: 8, alpha: 4}}\n",
        tmp_path,
    )
    swept, alone = (project.train(name, "seed0") for name in ("a-r8", "b"))
    assert swept.model_copy(update={"experiment": "b"}).canonical() == alone.canonical()


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ("{training.learning_rate: [1e-4, 0.001]}", ["learning_rate0.0001", "learning_rate0.001"]),
        ("{training.schedule: [cosine, constant]}", ["schedule_cosine", "schedule_constant"]),
        ("{augment.mirror: [true, false]}", ["mirror_on", "mirror_off"]),
        ("{training.clip: [null, 1.0]}", ["clip_none", "clip1"]),
        (
            "{lora.targets: [[q_proj], [q_proj, v_proj]]}",
            ["targets_q_proj", "targets_q_proj_v_proj"],
        ),
        ("{lora.alpha: [8, 1234567]}", ["alpha8", "alpha1234567"]),
        ("{training.huber_delta: [1.0e+6, 0.5]}", ["huber_delta1000000", "huber_delta0.5"]),
        ("{padding: [null, {action_dim: 7}]}", ["padding_none", "padding_action_dim7"]),
        (
            "{lora.dropout: [0, 0.1], head.dropout: [0]}",
            ["head.dropout0-lora.dropout0", "head.dropout0-lora.dropout0.1"],
        ),
    ],
)
def test_values_of_every_kind_have_names(tmp_path, sweep, expected):
    assert names(f"  a: {{sweep: {sweep}}}\n", tmp_path) == [f"a-{name}" for name in expected]


def test_presets_can_be_swept(tmp_path):
    project = load("  a: {sweep: {preset: [small, large]}, chunk: 5}\n", tmp_path)
    found = project.experiments
    assert [one.lora.r for one in found.values()] == [2, 64]
    assert {one.chunk for one in found.values()} == {5}


def test_mistakes_stand_at_the_line_of_the_sweep(tmp_path):
    found = problems(
        "  a:\n    chunk: 3\n    sweep:\n      lora.rr: [4]\n      window: [x, 30]\n", tmp_path
    )
    places = {place.split(" ")[0]: problem for place, problem in found.items()}
    assert places["17"].expected == "did you mean 'r'?"
    assert places["18"].found == "found 'x'"
    # a combination that cannot work is found in those that have no other mistake
    (place,) = problems("  a:\n    sweep:\n      window: [2, 30]\n", tmp_path)
    assert place == "16 (experiments.a-window30.window)"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{sweep: 3}", "found 3"),
        ("{sweep: {}}", "found {}"),
        ("{sweep: {window: 3}}", "found 3"),
        ("{sweep: {window: []}}", "found []"),
        ("{sweep: {window: [2, 2.0]}}", "found [2, 2.0]"),
        ("{sweep: {seeds: [[0], [1]]}}", "'seeds' in a sweep"),
        ("{sweep: {sweep: [1]}}", "'sweep' in a sweep"),
        ("{sweep: {window: [2]}, match: steps}", "found 'steps'"),
        ("{match: epochs}", "found None"),
        ("{sweep: {training.epochs: [1, 2]}, match: optimizer_steps}", "'training.epochs'"),
        ("{sweep: {training: [{epochs: 1}, {epochs: 2}]}, match: optimizer_steps}", "'training'"),
        ("{sweep: {lora: [{r: 4}], lora.r: [4, 8]}}", "'lora.r' lies within 'lora'"),
        ("{sweep: {lora.r: [4, 8]}, lora: {r: 2}}", "'lora.r' stands beside the sweep too, as 2"),
        ("{sweep: {window: [2, 3]}, window: 4}", "'window' stands beside the sweep too, as 4"),
        ("{sweep: {lora.r: [4, 8]}, lora: 3}", "'lora' is 3 beside the sweep"),
        ("{sweep: {window: [2, 3]}}\n  a-window2: {}", "named 'a-window2'"),
        ("{sweep: {preset: [smal]}}", "unknown preset 'smal'"),
    ],
)
def test_what_cannot_be_swept_is_an_error(tmp_path, entry, words):
    found = problems(f"  b: {{}}\n  a: {entry}\n", tmp_path)
    assert any(words in problem.found for problem in found.values()), found


def test_a_sweep_fits_the_schema():
    jsonschema.validate(
        yaml.safe_load(BASE + "  a: {sweep: {lora.r: [4]}, match: optimizer_steps}\n"),
        config_schema(),
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(BASE + "  a: {sweep: {lora.r: 4}}\n"), config_schema())


def test_with_match_all_combinations_are_given_the_first_one_s_steps(tmp_path):
    text = "  a: {sweep: {window: [4, 1], training.batch_size: [8, 4]}, match: optimizer_steps}\n"
    project = load(text, tmp_path)
    given = {name: project.train(name, "seed0").matched for name in project.experiments}
    assert given.pop("a-batch_size8-window4") is None
    for matched in given.values():
        assert (matched.windows.window, matched.batch_size, matched.epochs) == (4, 8, 20)
    plain = load(text.replace(", match: optimizer_steps", ""), tmp_path)
    assert plain.train("a-batch_size4-window1", "seed0").matched is None


def test_runs_of_different_data_have_no_steps_in_common(tmp_path):
    other = BASE.replace("datasets:\n", "datasets:\n  more: {kind: simulated}\n").replace(
        "window: 3}", "window: 3, dataset: more}"
    )
    entry = "  a: {sweep: {preset: [small, large]}}\n"
    assert len(load(entry, tmp_path, other).experiments) == 2
    matched = entry.replace("}}", "}, match: optimizer_steps}")
    with pytest.raises(Problems, match="the combinations have the datasets demo, more"):
        load(matched, tmp_path, other)


def swept(made, match="epochs", keys=("lora.r",)):
    """Make a sweep of the experiments that are there."""
    found = list(dict.fromkeys(run.experiment for run in made.settings.runs))
    values = [(4, 1), (4, 8), (16, 1), (16, 8)]
    members = tuple(
        SweepMember(experiment=name, values=dict(zip(keys, own, strict=False)))
        for name, own in zip(found, values, strict=False)
    )
    sweep = Sweep(name="rank", keys=keys, match=match, members=members)
    figures = ("sweeps", *made.settings.figures)
    made.settings = made.settings.model_copy(update={"sweeps": (sweep,), "figures": figures})
    return made


def test_errors_are_those_on_common_steps_where_there_are_some(tmp_path: Path) -> None:
    made = swept(make_results(tmp_path, 2, chunks=(10, 6)))
    scores = ComparisonResult.read(made.comparison)
    (found,) = sweep_tables(made.settings.sweeps, load_runs(made.settings, made.results), scores)
    assert found.alike
    common = {one.experiment: one.mae.value for one in scores.groups[0].experiments}
    assert {one.experiment: one.mae.value for one in found.points} == common
    assert found.best.mae.value == min(common.values())


def test_the_page_says_where_early_stopping_undid_the_match(tmp_path):
    made = swept(make_results(tmp_path, 2), match="optimizer_steps")
    found = json.loads(made.trainings[1].read_text())
    made.trainings[1].write_text(json.dumps({**found, "steps": found["steps"] - 12}))
    text = written(made, drawn(made, ["sweeps"])).read_text()
    assert "but some stopped early" in text and "trains all for as many" not in text


@pytest.mark.parametrize("keys", [("lora.r",), ("lora.r", "window"), ("training.epochs",)])
def test_the_page_shows_the_sweep_and_how_long_each_was_trained(tmp_path, keys):
    made = swept(make_results(tmp_path, 4 if len(keys) == 2 else 2), keys=keys)
    found = json.loads(made.trainings[1].read_text())
    found.update(steps=found["steps"] * 2, windows={**found["windows"], "train": 77})
    made.trainings[1].write_text(json.dumps(found))
    text = written(made, drawn(made, ["sweeps", "loss_curves"])).read_text()
    assert 'id="figure-sweeps"' in text and "Combinations of rank" in text
    assert "were not trained equally long" in text
    assert ("match: optimizer_steps" in text) == ("training.epochs" not in keys)
    assert "lowest MAE" in text


def test_the_table_has_a_line_for_each_combination(tmp_path):
    made = swept(make_results(tmp_path, 4), keys=("lora.r", "window"))
    with tabulated(made)["sweeps"].open() as file:
        lines = list(csv.DictReader(file))
    assert [line["values"] for line in lines][:2] == ["lora.r 4; window 1", "lora.r 4; window 8"]
    assert {line["on_the_same_steps"] for line in lines} == {"True"}

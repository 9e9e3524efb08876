"""Settings as lines: short ones, and as many different ones as there are values."""

import json

import pytest

from mobile_vla.config.audit import AuditSettings
from mobile_vla.config.project import Project
from mobile_vla.config.reasons import setting_line, setting_names, settings_made_by
from support import config_text
from support.config_text import load

BASE = config_text.BASE.replace("scenes: 3", "scenes: 3, world: {frames: 60}")
LONG = "".join(f"  e{index}: {{window: {index + 2}}}\n" for index in range(30))
EDITS = {
    "epochs": "  lora: {training: {epochs: 99}}\n",
    "a swap": "  lora: {lora: {r: 16, alpha: 32}}\n",
    "a long prompt": f"  lora: {{prompt: {{template: '{'go ' * 60}{{side}}'}}}}\n",
    "one word of a long prompt": f"  lora: {{prompt: {{template: '{'go ' * 59}on {{side}}'}}}}\n",
}


def lines(project, make, *names):
    settings = make(*names)
    values = settings.model_dump(mode="json")
    return {setting_line(values, path) for path in setting_names(type(settings))}


def differing(one, other, make, *names):
    before, now = (lines(project, getattr(project, make), *names) for project in (one, other))
    return sorted(before - now), sorted(now - before)


def test_a_reason_names_the_setting_that_changed_and_no_other(tmp_path):
    plain = load(BASE, tmp_path)
    edited = load(BASE.replace("  lora: {}\n", EDITS["epochs"]), tmp_path)
    before, now = differing(plain, edited, "train", "lora", "seed0")
    assert before == [f"training.epochs={plain.experiments['lora'].training.epochs}"]
    assert now == ["training.epochs=99"]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("make", ["train", "evaluate", "language"])
def test_lines_differ_exactly_where_settings_do(tmp_path, edit, make):
    plain = load(BASE, tmp_path)
    edited = load(BASE.replace("  lora: {}\n", EDITS[edit]), tmp_path)
    same = getattr(plain, make)("lora", "seed0") == getattr(edited, make)("lora", "seed0")
    before, now = differing(plain, edited, make, "lora", "seed0")
    assert (not before and not now) == same


def test_long_values_that_differ_in_a_word_have_two_short_lines(tmp_path):
    one, other = (
        load(BASE.replace("  lora: {}\n", EDITS[edit]), tmp_path)
        for edit in ("a long prompt", "one word of a long prompt")
    )
    before, now = differing(one, other, "train", "lora", "seed0")
    assert len(before) == len(now) == 1
    assert len(before[0]) < 160 and "digest" in before[0]


@pytest.mark.parametrize("make", ["audit", "compare", "page", "figures"])
def test_settings_of_many_experiments_are_a_line(tmp_path, make):
    project = load(BASE + LONG, tmp_path)
    names = ["demo"] if make == "audit" else []
    assert max(map(len, lines(project, getattr(project, make), *names))) < 160


def test_settings_of_data_name_no_experiment(tmp_path):
    one, other = load(BASE, tmp_path), load(BASE + LONG, tmp_path)
    assert one.audit_data("demo").canonical() == other.audit_data("demo").canonical()
    assert one.flags("demo").canonical() == other.flags("demo").canonical()
    assert differing(one, other, "audit_data", "demo") == ([], [])
    assert len(differing(one, other, "audit", "demo")[1]) == 1


def test_all_settings_are_among_the_lines(tmp_path):
    project = load(BASE, tmp_path)
    settings = project.train("lora", "seed0")
    values = settings.model_dump(mode="json")
    rebuilt: dict = {}
    for path in setting_names(type(settings)):
        place, value = rebuilt, values
        for name in path[:-1]:
            place, value = place.setdefault(name, {}), value[name]
        place[path[-1]] = value[path[-1]]
    assert json.dumps(rebuilt, sort_keys=True) == json.dumps(values, sort_keys=True)


def test_the_class_of_settings_is_that_of_the_annotation():
    assert settings_made_by(Project.audit) is AuditSettings

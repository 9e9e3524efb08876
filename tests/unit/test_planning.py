"""The table of planned jobs: reasons and times from what is recorded of earlier runs."""

import json
import shlex
from dataclasses import replace

import pytest

from mobile_vla.files import canonical_json
from mobile_vla.planning.estimate import Estimator
from mobile_vla.planning.jobs import RULES, PlannedJob, read_jobs, rules_of_the_project
from mobile_vla.planning.plan import table
from mobile_vla.planning.reasons import reasons
from mobile_vla.provenance.code import code_of
from mobile_vla.provenance.record import Provenance

CODE = ("mobile_vla.training.loss aa", "mobile_vla.config.training bb", "torch 2.13.0")
SETTINGS = {"run": "seed0", "training": {"epochs": 2, "learning_rate": 1e-3}, "lora": None}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(experiment="lora", settings=SETTINGS, tracked=CODE, run="seed0"):
    below = f"results/experiments/{experiment}/{run}"
    return PlannedJob(
        rule="train",
        wildcards={"experiment": experiment, "run": run},
        reason="",
        inputs=(),
        outputs=(f"{below}/training_results.json", f"{below}/training.provenance.json"),
        line=f"python -m mobile_vla train --settings {shlex.quote(canonical_json(settings))} --x y",
        tracked=tracked,
    )


def ran(planned, seconds=10.0):
    """Write what a job's run leaves behind."""
    code = [line for line in planned.tracked if line.startswith("mobile_vla")]
    versions = dict(line.split() for line in planned.tracked if line not in code)
    planned.provenance.parent.mkdir(parents=True, exist_ok=True)
    Provenance(
        stage="train",
        settings=planned.settings,
        inputs={},
        code=code,
        versions=versions,
        git=None,
        command="",
        host="",
        device=None,
        threads=None,
        python="",
        started="",
        finished="",
        seconds=seconds,
    ).write(planned.provenance)
    for path in planned.outputs:
        if not path.endswith("provenance.json"):
            (planned.provenance.parent / path.rpartition("/")[2]).write_text("{}")


def changed(**training):
    return {**SETTINGS, "training": {**SETTINGS["training"], **training}}


def test_settings_are_read_from_the_line_whatever_is_in_them():
    odd = {"prompt": "it's \"so\" --settings '{}' \\ $HOME {x}", "n": 1}
    assert job(settings=odd).settings == odd
    text = canonical_json(odd)
    gathered = f"python -m mobile_vla page --settings - --log x <<'SETTINGS'\n{text}\nSETTINGS\n"
    planned = PlannedJob("page", {}, "", (), (), gathered, ())
    assert planned.settings == odd


def test_an_experiment_without_results_is_new():
    assert reasons([job(), job(run="seed1")]) == ["new"]


def test_settings_are_named_with_their_values():
    ran(job())
    assert reasons([job(settings=changed(learning_rate=1e-5))]) == [
        "training.learning_rate changed: 0.001 -> 1e-05"
    ]
    assert reasons([job(settings={**SETTINGS, "lora": {"r": 4}})]) == [
        'lora changed: none -> {"r": 4}'
    ]
    assert reasons([job(settings={**SETTINGS, "lora": {"targets": ["q_proj"] * 9}})]) == [
        "lora changed"  # too long to be shown
    ]


def test_code_and_versions_are_named():
    ran(job())
    tracked = ("mobile_vla.training.loss cc", "mobile_vla.config.training bb", "torch 2.14.0")
    assert reasons([job(tracked=tracked)]) == [
        "training/loss.py changed",
        "torch changed: 2.13.0 -> 2.14.0",
    ]


def test_the_code_of_the_runs_own_head_is_named():
    planned = job(settings={**SETTINGS, "policy": {"head": {"type": "gpt"}}})
    *others, own = sorted(
        code_of("mobile_vla.model.heads.gpt"), key=lambda line: "model.heads.gpt" in line
    )
    ran(replace(planned, tracked=(*CODE, *others, f"{own.split()[0]} cc")))
    assert reasons([planned]) == ["model/heads/gpt.py changed"]


def test_a_setting_that_new_code_brings_was_changed_by_nobody():
    ran(job())
    settings = changed(learning_rate=0.5, momentum=0.9)
    tracked = ("mobile_vla.training.loss aa", "mobile_vla.config.training cc", "torch 2.13.0")
    assert reasons([job(settings=settings, tracked=tracked)]) == [
        "training.learning_rate changed: 0.001 -> 0.5",
        "config/training.py changed",
    ]


def test_a_job_that_only_follows_has_no_reason():
    ran(job())
    assert reasons([job()]) == []


def test_a_job_that_imports_videos_is_its_datasets_and_counts_its_episodes():
    below = "results/datasets/theirs/episodes"
    names = ("e0.json", "e1.json", "e0.npy", "e1.npy", "e0.provenance.json")
    planned = PlannedJob(
        rule="import_videos_theirs_e0",
        wildcards={},
        reason="Params have changed since last execution",
        inputs=(),
        outputs=tuple(f"{below}/{name}" for name in names),
        line=f"python -m mobile_vla import_videos --settings {canonical_json(SETTINGS)!r} --x y",
        tracked=CODE,
    )
    assert planned.subject == ("dataset", "theirs")
    ran(planned, seconds=30.0)
    assert reasons([planned]) == ["2 episodes changed"]
    other = replace(planned, outputs=(f"{below}/e9.provenance.json",))
    assert Estimator().seconds(other) == (30.0, "others")


def test_provenance_of_another_version_of_the_project_is_no_mistake():
    ran(job())
    job().provenance.write_text('{"stage": "train"}')
    assert reasons([job()]) == ["train ran with another version of the project"]


def test_the_time_of_a_training_is_its_last_one_times_its_epochs():
    ran(job(), seconds=10.0)
    assert Estimator().seconds(job(settings=changed(epochs=6))) == (30.0, "own")


def test_the_time_of_a_new_training_is_the_median_of_the_others():
    for name, seconds in (("a", 1.0), ("b", 5.0), ("c", 90.0)):
        ran(job(name), seconds)
    assert Estimator().seconds(job("new")) == (5.0, "others")


def test_a_time_that_nothing_tells_is_a_question_mark():
    assert Estimator().seconds(job("new")) is None
    assert "experiment new     1     ?  new" in table([job("new")])
    assert table([job("new")]).endswith("times: one job after another; 1 job unknown")


def test_the_table_adds_jobs_and_times(folder):
    ran(job("a"), 100.0)
    ran(job("b"), 200.0)
    lines = table([job("a", changed(epochs=4)), job("b", changed(epochs=1))]).splitlines()
    assert lines[:4] == [
        "              jobs        time  why",
        "experiment a     1  3 min 20 s  training.epochs changed: 2 -> 4",
        "experiment b     1  1 min 40 s  training.epochs changed: 2 -> 1",
        "total            2  5 min 00 s",
    ]


def test_jobs_are_read_as_the_logger_prints_them():
    line = {
        "rule_name": "train",
        "wildcards": {"experiment": "a", "run": "seed0"},
        "reason": "",
        "input": ["x"],
        "output": ["y"],
        "shellcmd": "python -m mobile_vla train",
        "command": "train",
    }
    target = {**line, "rule_name": "all", "shellcmd": None, "command": None}
    printed = [{"total": 3}, {**line, "tracked": ["t"]}, line, target, {"total": 3}]
    jobs = read_jobs(map(json.dumps, printed))
    assert [planned.tracked for planned in jobs] == [("t",), ("t",)]
    with pytest.raises(RuntimeError, match="counts 3 jobs, and the logger printed 2"):
        read_jobs(map(json.dumps, printed[1:-1][:2] + printed[-1:]))
    assert read_jobs([]) == []


@pytest.mark.parametrize("name", ["Snakefile", "workflow/Snakefile", None])
def test_a_folder_without_rules_is_planned_with_the_project_s(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    if name is not None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert rules_of_the_project() == ([] if name else ["--snakefile", str(RULES)])
    assert RULES.is_file()


def test_experiments_that_are_added_are_counted():
    def gathered(*names):
        runs = [{"experiment": name, "run": "seed0"} for name in names]
        return job("all", {"runs": runs})

    ran(gathered("a", "b"))
    assert reasons([gathered("a", "b", "c")]) == ["experiment c added"]
    assert reasons([gathered("c", "d", "e")]) == [
        "3 experiments added",
        "2 experiments removed",
    ]
    assert reasons([gathered("b", "a")]) == ["the order of the experiments changed"]

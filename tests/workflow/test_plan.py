"""`python -m mobile_vla plan`: what would run, with the reasons in words."""

import os
import re
import subprocess

import pytest

from support.project import SMALL, Project
from support.recorded import write_episode, write_folder

NUMBER = r"(?:\?|[\d.]+ s|\d+ min \d\d s)(?: \+ \?)?"


def called(project):
    """Return exit status, output and messages of the command, called as a user calls it."""
    environment = {**os.environ, "PYTHONPATH": "workflow"}
    done = subprocess.run(
        [project.python, "-m", "mobile_vla", "plan"],
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def planned(project):
    """Return number of jobs, time and reasons by subject."""
    status, output, messages = called(project)
    assert status == 0, messages
    lines = output.split("\n\n")[0].splitlines()[1:]
    rows = {}
    for line in lines:
        match = re.fullmatch(rf"(\S.*?) +(\d+) +({NUMBER})(?:  (.+))?", line)
        assert match, line
        rows[match[1]] = (int(match[2]), match[3], match[4])
    return rows


def reasons(project):
    return {subject: why for subject, (_, _, why) in planned(project).items() if why}


def test_a_finished_project_has_nothing_to_do(finished):
    assert called(finished)[:2] == (0, "nothing to do: the report is up to date\n")


def test_a_new_project_is_new_and_its_times_are_unknown(tmp_path):
    project = Project(tmp_path / "project")
    rows = planned(project)
    assert rows == {
        "dataset demo": (28, "?", "new"),
        "backbone tiny": (3, "?", "new"),
        "experiment head_only": (7, "?", "new"),
        "experiment lora": (7, "?", "new"),
        "report": (4, "?", "new"),
        "total": (49, "?", None),
    }
    assert sum(project.plan().values()) == 49


def test_a_setting_is_named_with_both_values_and_the_jobs_are_those_of_a_dry_run(copied):
    copied.edit("config.yaml", "r: 4", "r: 8")
    rows = planned(copied)
    assert {name: why for name, (_, _, why) in rows.items()} == {
        "experiment lora": "lora.r changed: 4 -> 8",
        "report": "settings of experiments changed; follows experiment lora",
        "total": None,
    }
    assert rows["total"][0] == sum(copied.plan().values())
    assert "?" not in rows["total"][1]  # all of them ran before


def test_what_changed_is_named_although_an_input_changes_too(copied):
    copied.edit("config.yaml", "scenes: 6", "scenes: 7")
    copied.edit("config.yaml", "learning_rate: 1e-3", "learning_rate: 1e-4")
    copied.edit("config.yaml", "  head_only:", "  r2:\n    lora: {r: 2}\n  head_only:")
    rate = "training.learning_rate changed: 0.001 -> 0.0001; follows dataset demo, backbone tiny"
    assert reasons(copied) == {
        "dataset demo": "experiment r2 added; 2 episodes added",
        "backbone tiny": "follows dataset demo",
        "experiment head_only": rate,
        "experiment lora": rate,
        "experiment r2": "new",
        "report": "experiment r2 added; follows dataset demo, backbone tiny, 3 experiments",
    }


def test_what_is_removed_is_counted(copied):
    copied.edit("config.yaml", "scenes: 6", "scenes: 5")
    copied.edit("config.yaml", "  head_only:\n    finetune: none\n", "")
    assert reasons(copied)["dataset demo"] == "experiment head_only removed; 2 episodes removed"
    assert reasons(copied)["report"].startswith("experiment head_only removed; follows")


def test_changed_code_is_named_and_a_seed_that_is_added(copied):
    copied.edit(
        "workflow/mobile_vla/evaluation/metrics.py", "np.square(error) / 2", "np.square(error) / 3"
    )
    copied.edit("config.yaml", "  lora:\n", "  lora:\n    seeds: [0, 1]\n")
    assert reasons(copied) == {
        "experiment head_only": "evaluation/metrics.py changed",
        "experiment lora": "evaluation/metrics.py changed; seed1 added",
        "report": "seed1 of lora added; evaluation/metrics.py changed; follows 2 experiments",
    }


def test_missing_results_changed_sources_and_what_was_never_computed(copied):
    (copied.folder / "results/comparison.json").unlink()
    (copied.folder / "workflow/report/page/page.html.j2").open("a").write("<!-- more -->\n")
    run = copied.folder / "results/experiments/lora/seed0"
    for name in ("language.json", "language.provenance.json"):
        (run / name).unlink()
    found = reasons(copied)
    assert found["experiment lora"] == "not computed yet: language"
    assert "results/comparison.json missing" in found["report"]
    assert "workflow/report/page/page.html.j2 changed" in found["report"]


def test_results_that_are_gone_and_that_nothing_would_make_are_listed(copied):
    run = copied.folder / "results/experiments/lora/seed0"
    for name in ("language.json", "evaluation.json"):
        (run / name).unlink()
    status, output, _ = called(copied)
    assert status == 0
    assert output == (
        "nothing to do: the report is up to date\n\n"
        "gone, though the report was made of it, and planned by no job:\n"
        "  results/experiments/lora/seed0/evaluation.json\n"
        "  results/experiments/lora/seed0/language.json\n"
        "`snakemake --cores 1 results/experiments/lora/seed0/evaluation.json` makes one again\n"
    )
    copied.build("results/experiments/lora/seed0/evaluation.json")
    assert "evaluation.json" not in called(copied)[1]
    copied.edit("config.yaml", "r: 4", "r: 8")  # now the other is computed with the rest
    assert "gone" not in called(copied)[1]


def test_jobs_that_snakemake_cannot_check_are_named(copied):
    for file in (copied.folder / ".snakemake/metadata").iterdir():
        file.unlink()
    status, output, messages = called(copied)
    assert status == 0 and output.startswith("nothing to do")
    assert "jobs have missing provenance/metadata" in messages


def test_recorded_episodes_whose_bytes_change_are_counted(tmp_path):
    simulated = "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n"
    recorded = "    kind: recorded\n    path: ./episodes\n"
    project = Project(tmp_path / "project", SMALL.replace(simulated, recorded))
    files = write_folder(project.folder / "episodes", 4, frames=8, size=(8, 8))
    project.build("results/datasets/demo/manifest.json")
    write_episode(files[0], seed=99, frames=8, size=(8, 8))
    files[1].rename(files[1].with_name(files[1].name.replace("_close", "_far")))
    assert reasons(project)["dataset demo"] == (
        "1 episode added; 1 episode removed; not computed yet: audit_dataset, "
        "audit_experiments, split; 1 episode changed"
    )


@pytest.mark.parametrize("mistake", ["epchs: 2", "epochs: 0"])
def test_a_mistake_is_reported_as_a_dry_run_reports_it(finished, tmp_path, mistake):
    project = Project(tmp_path / "project")
    project.edit("config.yaml", "epochs: 2", mistake)
    dry = project.snakemake("-n")
    status, output, messages = called(project)
    assert (status, output) == (dry.status, "")
    assert messages == dry.output

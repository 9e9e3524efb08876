"""`python -m mobile_vla reproduce`: one number again, and what was planted against it is named."""

import json
import os
import subprocess
import sys

import pytest

from mobile_vla.config.loading import read_project
from mobile_vla.errors import UserError
from mobile_vla.reproducing.chain import in_order, other_settings, stored_faults
from mobile_vla.reproducing.folder import clean_folder
from mobile_vla.reproducing.reproduce import reproduce
from support.project import Project
from support.rewriting import rewrite

RUN = "experiments/head_only/seed0"
NUMBER = f"{RUN}/evaluation/policy/mae/overall"
TARGET = f"results/{RUN}/evaluation.json"
FOLDERS = "results/datasets/demo"

# By what is planted: the file, and the stage and the file that are named first.
PLANTED = {
    "a raw file": (f"{FOLDERS}/raw/*.h5", "simulate"),
    "the frames": (f"{FOLDERS}/episodes/*.npy", "ingest"),
    "an episode's facts": (f"{FOLDERS}/episodes/*.json", "ingest"),
    "the actions": (f"{FOLDERS}/actions.npy", "manifest"),
    "the split": (f"{FOLDERS}/split.json", "split"),
    "the backbone's weights": ("results/backbones/tiny/model.safetensors", "random_backbone"),
    "the features": ("results/features/demo/tiny/readout-*.npy", "features"),
    "a policy": (f"results/{RUN}/policy/head.safetensors", "train"),
    "a policy's description": (f"results/{RUN}/policy/policy.json", "train"),
    "predictions": (f"results/{RUN}/predictions.npz", "evaluate"),
}


def called(project, *arguments):
    """Return exit status, output and messages of the command, called as a user calls it."""
    done = subprocess.run(
        [project.python, "-m", "mobile_vla", "reproduce", *arguments],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": "workflow"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def names_commit(project, git):
    """Let the number's provenance name a commit, whatever the tests run in."""
    file = project.folder / f"results/{RUN}/evaluation.provenance.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "git": git}))


def planned(folder, monkeypatch):
    """Return the jobs that lead to the number, planned in a clean folder beside a project."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "executable", Project.python)
    with clean_folder(read_project(folder / "config.yaml"), None, None) as clean:
        return in_order(clean.planned(TARGET))


@pytest.fixture(scope="module")
def lab(finished, tmp_path_factory):
    """A copy of the finished project, and the jobs that lead to the number."""
    project = finished.copy(tmp_path_factory.mktemp("lab") / "project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return project, planned(project.folder, monkeypatch)


@pytest.fixture
def jobs(lab, monkeypatch):
    project, jobs = lab
    monkeypatch.chdir(project.folder)
    return jobs


def test_only_the_jobs_that_lead_to_a_number_are_planned_each_after_what_it_reads(jobs):
    assert {job.rule for job in jobs} == {
        *("simulate", "ingest", "manifest", "split", "random_backbone", "features", "train"),
        "evaluate",
    }
    assert jobs[-1].rule == "evaluate"
    made = set()
    for job in jobs:
        assert all(path in made for path in job.inputs if path.startswith("results/"))
        made.update(job.outputs)


def test_files_as_they_were_written_are_faultless(jobs):
    assert list(stored_faults(jobs, lambda dataset: None)) == []
    assert other_settings(jobs) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_a_flipped_byte_is_named_by_its_stage_and_file(lab, jobs, planted):
    pattern, stage = PLANTED[planted]
    file = min(lab[0].folder.glob(pattern))
    content = file.read_bytes()
    place = len(content) // 2
    try:
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        first = next(stored_faults(jobs, lambda dataset: None))
    finally:
        file.write_bytes(content)
    assert first.job.rule == stage
    assert str(file.relative_to(lab[0].folder)) in first.words


def test_a_file_that_is_gone_is_named(lab, jobs):
    file = lab[0].folder / f"results/{RUN}/policy/head.safetensors"
    content = file.read_bytes()
    file.unlink()
    first = next(stored_faults(jobs, lambda dataset: None))
    file.write_bytes(content)
    assert (first.job.rule, "no file" in first.words) == ("train", True)


def test_changed_settings_are_named_those_of_threads_too(copied, monkeypatch):
    copied.edit("config.yaml", "learning_rate: 1e-3", "learning_rate: 1e-4, threads: 2")
    assert list(map(str, other_settings(planned(copied.folder, monkeypatch)))) == [
        "train (experiment head_only): training.learning_rate changed: 0.001 -> 0.0001",
        "train (experiment head_only): training.threads changed: 1 -> 2",
        "evaluate (experiment head_only): threads changed: 1 -> 2",
    ]


def test_a_changed_line_of_code_is_named_by_its_module_and_nothing_runs(copied):
    names_commit(copied, None)
    copied.edit("workflow/mobile_vla/evaluation/metrics.py", "def ", "LINE = 1\n\n\ndef ")
    status, output, _ = called(copied, NUMBER)
    assert status == 1
    assert "evaluate (experiment head_only): evaluation/metrics.py changed" in output
    assert "its provenance names no commit" in output


def test_from_results_the_last_job_runs_alone_and_another_value_is_said(copied):
    file = copied.folder / TARGET
    content = json.loads(file.read_text())
    value = content["policy"]["mae"]["overall"]
    content["policy"]["mae"]["overall"] = 0.125
    rewrite(file, content)
    status, output, messages = called(copied, "--from", "results", NUMBER)
    assert status == 1, messages
    assert output.splitlines() == [
        f"differs: {NUMBER}: 0.125 in results, {value} computed again",
        "computed again by 1 job",
        f"first stage whose bytes differ: evaluate (experiment head_only): {TARGET}",
    ]


def test_from_the_raw_data_the_commit_of_the_provenance_computes_the_same(copied, tmp_path):
    """The checkout has moved on; the folder is named, and stays."""

    def git(*arguments):
        done = subprocess.run(
            ["git", "-C", copied.folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "all")
    names_commit(copied, {"commit": git("rev-parse", "HEAD"), "dirty": False})
    copied.edit("workflow/mobile_vla/evaluation/metrics.py", "def ", "LINE = 1\n\n\ndef ")
    status, output, messages = called(copied, "--into", str(tmp_path / "again"), NUMBER)
    assert status == 0, messages
    assert output.splitlines()[0].startswith(f"equal: {NUMBER}: 0.")
    assert output.splitlines()[-1] == "all files that lead to it have the same bytes"
    assert (tmp_path / "again" / TARGET).read_bytes() == (copied.folder / TARGET).read_bytes()
    assert not (tmp_path / "again/results/report.html").exists()


def test_what_cannot_be_is_said_before_anything_runs(finished, monkeypatch, tmp_path):
    monkeypatch.chdir(finished.folder)
    with pytest.raises(UserError, match=r"expected raw or results"):
        reproduce(NUMBER, from_="scratch")
    (tmp_path / "note").touch()
    with pytest.raises(UserError, match="expected no folder, or an empty one"):
        reproduce(NUMBER, into=tmp_path)

"""A lab's first week: 13 episodes of one side, both presets, and what happens to files meanwhile.

Each test goes on where the one before has stopped.
"""

import json
import os
import shutil
import signal
import time

import psutil
import pytest

from mobile_vla.audit.result import Audit
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.loading import read_project
from mobile_vla.errors import AGAIN
from mobile_vla.reporting.advice.facts import Facts
from mobile_vla.reporting.advice.scoring import larger_test
from mobile_vla.reporting.load import load_datasets
from mobile_vla.reporting.verdict import judged
from support.project import SMALL, Project
from support.recorded import names, write_episode, write_folder
from support.report import ENGLISH

SIZE = (36, 64)
HEAD = "head: {layers: 1, hidden_size: 8, mlp: []}"
RECORDED = "kind: recorded\n    path: ../episodes\n    on_error: fail\n"
SPLIT = "{train: 0.8, val: 0.2, stratify_by: [side]}"  # as the lab was used to
KFOLD = "{kind: kfold, folds: 2, val: 0.25, stratify_by: [side]}"
WHOLE = f"  whole: {{preset: mobile_vla_lora_20251106, {HEAD}, training: {{epochs: 1}}}}\n"
PADDED = f"  padded: {{preset: mobile_vla_lora_20251112, {HEAD}, training: {{epochs: 1}}}}\n"
CONFIG = (
    "include: presets\n"
    + SMALL[: SMALL.index("  lora:\n")]
    .replace("kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n", RECORDED)
    .replace("{train: 0.5, val: 0.25, test: 0.25, stratify_by: [side]}", SPLIT)
    + WHOLE
    + PADDED
)

DATA = "results/datasets/demo"
WEEK = ("results/comparison.json", f"{DATA}/audit.html")
AUDIT = {"audit_dataset": 1, "audit_experiments": 1}
DATA_CHANGED = {**AUDIT, "manifest": 1, "split": 1, "features": 1}
FOLDS = {"train": 2, "evaluate": 2, "compare": 1}  # of one experiment
ONE_SIDED = {"missing_side": "no episode with side right"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project on 13 recorded episodes, all past the left of the box, some without instruction."""
    folder = tmp_path_factory.mktemp("lab")
    write_folder(folder / "episodes", 13, sides=["left"], size=SIZE)
    return Project(folder / "project", CONFIG)


def read(project, name):
    return json.loads((project.folder / name).read_text())


def episodes(project):
    return sorted((project.folder.parent / "episodes").iterdir())


def warnings(project):
    found = Audit.read(project.folder / f"{DATA}/audit.json").findings
    return {one.code: str(one.found) for one in found if one.severity == "warning"}


def conclusions(project):
    """Return what the report says of each experiment: its verdict, what it lacks, and on how many
    episodes."""
    results = project.folder / "results"
    settings = read_project(project.folder / "config.yaml").figures()
    scores = ComparisonResult.read(results / "comparison.json")
    datasets = {own.manifest.dataset: own for own in load_datasets(settings, results)}
    advice = larger_test(Facts(scores, (), datasets, (), ENGLISH))
    advised = "" if advice is None else f"{advice.text}\n{advice.lines}"
    return {
        own.experiment: (judged(own.verdict, ENGLISH), advised, own.episodes)
        for own in scores.experiments
    }


def training_of(project):
    """Return the process that trains in the project's folder, once it has saved a state."""
    until = time.monotonic() + 120
    while not any((project.folder / "results/experiments").glob("*/*/.work/*/state-*.json")):
        assert time.monotonic() < until, "no state was saved"
        time.sleep(0.02)
    (found,) = (
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(project.folder) and "train" in (process.info["cmdline"] or [])
    )
    return found


def cut_off(path):
    """Lose the second half of a file, as on a full disk."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_the_audit_says_that_one_side_is_missing(project):
    finished = project.build("audit")
    assert finished.jobs() == {"ingest": 13, **AUDIT, "audit": 1}
    assert warnings(project) == ONE_SIDED
    last = finished.output[finished.output.rindex("audit of demo: ") :]
    assert "missing_side" in last and "no episode with side right" in last


def test_both_presets_are_scored_and_without_a_test_set_there_is_no_verdict(project):
    finished = project.build(*WEEK)
    data = {"manifest": 1, "split": 1, "random_backbone": 1, "features": 1}  # one for both presets
    assert finished.jobs() == {**data, "train": 2, "evaluate": 2, "compare": 1}
    listed = read(project, f"{DATA}/manifest.json")["episodes"]
    assert [one["instruction"] is None for one in listed].count(True) == 4
    for verdict, advised, scored in conclusions(project).values():
        assert scored == 3
        assert "no verdict, because the scored episodes chose its checkpoint" in verdict
        assert "Score all 13 episodes by 5-fold cross-validation" in advised
        assert "kind: kfold" in advised


def test_the_advised_kfold_goes_on_after_ctrl_c_and_scores_all_13(project):
    project.edit("config.yaml", SPLIT, KFOLD)
    both = {"split": 1, "train": 4, "evaluate": 4, "compare": 1}  # runs of both presets
    assert project.plan(*WEEK) == both
    project.edit("config.yaml", WHOLE, "")
    project.edit("config.yaml", "{epochs: 1}", "{epochs: 8}")
    command = ("--cores", "1", WEEK[0])
    process = project.start(*command)
    for one in (training_of(project), process):  # Ctrl-C is for all that the terminal has started
        one.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0 and "Traceback" not in output
    assert "stopped on request after step" in output and AGAIN in output
    finished = project.snakemake(*command)
    assert finished.status == 0, finished.output
    assert finished.jobs() == FOLDS
    assert "goes on after step" in finished.output
    ((verdict, advised, scored),) = conclusions(project).values()
    assert (scored, advised) == (13, "") and "no verdict" not in verdict
    for fold in (0, 1):
        evaluation = f"results/experiments/padded/seed0-fold{fold}/evaluation.json"
        assert read(project, evaluation)["scored_on"] == "test"
    assert project.build(*WEEK).jobs() == {"audit_experiments": 1}, "of an experiment less"


def test_bytes_count_and_times_do_not(project):
    touched, copied, changed, *_ = episodes(project)
    touched.touch()
    shutil.copy(copied, copied.with_suffix(".copy"))  # another inode, another time
    copied.with_suffix(".copy").replace(copied)
    assert project.plan(*WEEK) == {}

    before = changed.read_bytes()
    write_episode(changed, seed=99, size=SIZE)
    os.utime(changed, (0, 0))  # older than every result
    assert project.plan(*WEEK) == {"ingest": 1, **DATA_CHANGED, **FOLDS}
    changed.write_bytes(before)


def test_a_damaged_episode_stops_with_file_and_remedy_and_nothing_is_lost(project):
    _, damaged, *_ = episodes(project)
    before = damaged.read_bytes()
    cut_off(damaged)
    finished = project.snakemake("--cores", "2", f"{DATA}/split.json")
    assert finished.status != 0 and "Traceback" not in finished.output
    (message, *_) = [line for line in finished.output.splitlines() if damaged.name in line]
    assert "truncated" in message or "cut off" in message, message
    assert "to do:" in finished.output
    assert not (project.folder / f"{DATA}/manifest.json").exists()

    damaged.write_bytes(before)
    finished = project.build(f"{DATA}/split.json", WEEK[1])
    assert finished.jobs() == {"ingest": 1, **AUDIT, "manifest": 1, "split": 1}
    assert project.plan(*WEEK) == {}, "policies and scores are those of the same bytes"


def test_a_moved_folder_reruns_nothing(project):
    folder = project.folder.parent / "episodes"
    folder.rename(folder.with_name("disk"))
    project.edit("config.yaml", "path: ../episodes", "path: ../disk")
    assert project.plan(*WEEK) == {}
    folder.with_name("disk").rename(folder)
    project.edit("config.yaml", "path: ../disk", "path: ../episodes")


def test_of_three_more_episodes_only_those_are_ingested(project):
    write_folder(project.folder.parent / "episodes", 16, sides=["left"], size=SIZE)
    assert project.plan(*WEEK) == {"ingest": 3, **DATA_CHANGED, **FOLDS}
    assert project.build("audit").jobs() == {"ingest": 3, **AUDIT, "audit": 1}
    assert warnings(project) == ONE_SIDED
    (features,) = (project.folder / "results/features/demo/tiny").glob("[!.]*.npy")
    assert project.build(str(features.relative_to(project.folder))).jobs()["features"] == 1
    log = project.folder / f"results/logs/features/demo/tiny/{features.stem}.log"
    assert "3 of 16 episodes are computed" in log.read_text()


def test_without_an_episode_nothing_is_ingested(project):
    removed = episodes(project)[4]
    removed.rename(project.folder.parent / removed.name)
    assert project.plan(*WEEK) == {**DATA_CHANGED, **FOLDS}
    (project.folder.parent / removed.name).rename(removed)


def test_quarantine_leaves_a_damaged_episode_out_and_lists_it(project):
    damaged = episodes(project)[-1]
    before = damaged.read_bytes()
    cut_off(damaged)
    project.edit("config.yaml", "on_error: fail", "on_error: quarantine")
    finished = project.build(f"{DATA}/split.json", f"{DATA}/audit.html")
    assert finished.jobs() == {"ingest": 1, **AUDIT, "manifest": 1, "split": 1}
    manifest = read(project, f"{DATA}/manifest.json")
    assert len(manifest["episodes"]) == 15
    (quarantined,) = manifest["quarantined"]
    assert quarantined["episode"] == damaged.stem and quarantined["errors"]
    findings = read(project, f"{DATA}/audit.json")["findings"]
    assert [one["episode"] for one in findings if one["severity"] == "error"] == [damaged.stem]
    assert damaged.stem in (project.folder / f"{DATA}/audit.html").read_text()

    damaged.write_bytes(before)
    assert project.plan(*WEEK) == {"ingest": 1, **DATA_CHANGED, **FOLDS}


@pytest.mark.long
def test_the_week_in_the_report(project):
    """Holdout and folds of 16 episodes, the last one damaged, to the page; stands by itself."""
    write_folder(project.folder.parent / "episodes", 16, sides=["left"], size=SIZE, truncated=True)
    project.config = CONFIG.replace("on_error: fail", "on_error: quarantine")
    project.build()
    assert project.plan() == {}
    page = (project.folder / "results/report.html").read_text()
    broken = names(16, ["left"])[-1]
    assert broken in page and "no episode with side right" in page
    assert "There is no verdict" in page and "Score all 15 episodes" in page

    project.edit("config.yaml", SPLIT, KFOLD)
    project.build()
    page = (project.folder / "results/report.html").read_text()
    assert "padded seed0-fold1" in page and "15 test episodes" in page
    assert "Score all" not in page
    assert project.plan() == {}

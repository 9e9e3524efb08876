"""What an edit makes run again: that, and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla.commands import STAGES
from mobile_vla.provenance import code
from mobile_vla.provenance.record import Provenance
from support.edits import REPORT, edited, expected, page, rows
from support.project import ROOT, Project
from support.thinning import thinned

KEPT = {"moves", "several", "mixture", "trial", "videos"}  # rows that other tests check
EDITS = {row["edit"]: row for row in rows() if not KEPT & row.keys()}


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory):
    """A copy of the finished project, in which edits are undone after each test."""
    return finished.copy(tmp_path_factory.mktemp("edited") / "project")


def test_a_fresh_clone_shows_the_whole_plan(tmp_path):
    project = Project(tmp_path / "project")
    finished = project.snakemake("-n")
    assert finished.status == 0
    assert "<TBD>" not in finished.output
    assert finished.jobs() == {
        "simulate": 12,
        "ingest": 12,
        "manifest": 1,
        "split": 1,
        "audit_dataset": 1,
        "audit_experiments": 1,
        "random_backbone": 1,
        "features": 2,
        "train": 2,
        "timing": 2,
        "evaluate": 2,
        "compare": 1,
        "language": 2,
        "rollout": 2,
        "latency": 2,
        "card": 2,
        **REPORT,
    }


def test_a_finished_project_has_nothing_to_do(finished):
    assert finished.plan() == {}


@pytest.mark.parametrize("name", thinned(EDITS, 4))
def test_an_edit_reruns_exactly_what_depends_on_it(project, name):
    with edited(project, EDITS[name]):
        assert project.plan() == expected(EDITS[name]["reruns"])


def test_the_table_is_long_enough_and_printed_in_the_docs():
    assert len(EDITS) >= 30
    assert (ROOT / "docs/reruns.md").read_text(encoding="utf-8") == page()


def test_the_reason_names_the_module_that_changed(project):
    with edited(project, EDITS["code of the metrics"]):
        reasons = re.findall(r"reason: Params have changed.*", project.snakemake("-n").output)
    assert reasons and all("mobile_vla.evaluation.metrics" in reason for reason in reasons)


def test_a_head_of_ones_own_is_two_files_and_trains_no_other_again(copied):
    for part in ("config", "model"):
        heads = copied.folder / "workflow/mobile_vla" / part / "heads"
        text = (heads / "mlp.py").read_text(encoding="utf-8").replace("Mlp", "Plain")
        text = text.replace('"mlp"', '"plain"').replace("heads.mlp", "heads.plain")
        (heads / "plain.py").write_text(text, encoding="utf-8")
    added = "  plain:\n    head: {type: plain, mlp: [8]}\n  head_only:"
    copied.edit("config.yaml", "  head_only:", added)
    assert copied.plan() == expected(EDITS["a new experiment"]["reruns"])
    copied.python = sys.executable  # a fork has the library that has no such head
    copied.build("results/experiments/plain/seed0/metrics.csv")
    provenance = copied.folder / "results/experiments/plain/seed0/training.provenance.json"
    own = [line for line in Provenance.read(provenance).code if ".heads.plain " in line]
    assert {line.split(".")[1] for line in own} == {"config", "model"}


def test_cores_rerun_nothing(finished):
    assert finished.plan("--cores", "1") == finished.plan("--cores", "2") == {}


def test_a_copy_and_a_touch_of_every_file_rerun_nothing(copied):
    for file in copied.folder.rglob("*"):
        if file.is_file() and ".snakemake" not in file.parts:
            file.touch()
    assert copied.plan() == {}
    shutil.copytree(copied.folder, copied.folder.with_name("again"))  # every time is new
    assert Project.at(copied.folder.with_name("again")).plan() == {}


def test_another_branch_and_back_reruns_nothing(copied):
    def git(*arguments):
        identity = ("-c", "user.name=x", "-c", "user.email=x@y")
        subprocess.run(
            ["git", *identity, *arguments], cwd=copied.folder, check=True, capture_output=True
        )

    git("init", "--initial-branch", "one")
    git("add", ".")
    git("commit", "--message", "one")
    git("checkout", "-b", "two")
    copied.edit("workflow/mobile_vla/evaluation/metrics.py", "/ 2, delta", "/ 3, delta")
    git("commit", "--all", "--message", "two")
    assert copied.plan() != {}
    git("checkout", "one")
    assert copied.plan() == {}


def test_large_files_are_followed_by_their_digest_after_a_real_run(copied):
    results = copied.folder / "results"
    target = "results/experiments/head_only/seed0/metrics.csv"
    large = [*(results / "datasets/demo/raw").glob("*.h5"), *results.rglob("*.npy")]
    large.append(results / "backbones/tiny/model.safetensors")
    for file in large:
        file.touch()
    assert copied.plan() == {}

    before = (copied.folder / target).read_bytes()
    copied.edit("config.yaml", "world: {frames: 15}", "world: {frames: 15, slip: 0.5}")
    copied.build(target)
    data = (copied.folder / target).read_bytes()
    assert data != before and copied.plan(target) == {}
    copied.edit("config.yaml", "    image_tokens: 4", "    image_tokens: 4\n    seed: 1")
    copied.build(target)
    assert (copied.folder / target).read_bytes() != data
    assert copied.plan(target) == {}


def test_without_snakemakes_memory_the_times_decide(copied):
    shutil.rmtree(copied.folder / ".snakemake/metadata")
    assert copied.plan() == {}


class Remembered(dict):
    """What a function of a module's name returned, until its entry is removed."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def __missing__(self, name):
        self[name] = self.function(name)
        return self[name]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A copy of the library to plant faults in, and what was read of its modules."""
    root = tmp_path_factory.mktemp("library")
    shutil.copytree(ROOT / "workflow/mobile_vla", root / "mobile_vla")
    files = Remembered(code._file.__wrapped__)
    analysed = Remembered(code._analysed.__wrapped__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "ROOT", root)
        patch.setattr(code, "_new", {})
        patch.setattr(code, "_kept", dict)
        patch.setattr(code, "_file", files.__getitem__)
        patch.setattr(code, "_analysed", analysed.__getitem__)
        yield analysed


@pytest.mark.parametrize("command", STAGES)
def test_a_fault_in_any_module_that_a_stage_imports_changes_what_it_is_tracked_by(library, command):
    before = code.code_of(STAGES[command].module)
    for line in before:
        module = line.split()[0]
        file = code._file(module)
        text = file.read_text()
        file.write_text(text + "\nPLANTED = 1\n")
        del library[module]
        changed = set(code.code_of(STAGES[command].module)) - set(before)
        assert [one.split()[0] for one in changed] == [module]
        file.write_text(text)
        del library[module]
    assert code.code_of(STAGES[command].module) == before


def test_nothing_in_the_library_is_imported_dynamically_but_what_settings_choose():
    """What is imported by name alone is tracked by the command's name and by its settings."""
    dynamic = re.compile(r"\b(import_module|__import__|exec|eval|run_module|run_path)\(")
    found = {
        str(file.relative_to(ROOT / "workflow"))
        for file in Path(ROOT / "workflow/mobile_vla").rglob("*.py")
        if any(
            dynamic.search(line) and ".eval()" not in line
            for line in file.read_text(encoding="utf-8").splitlines()
        )
    }
    heads = {f"mobile_vla/{part}/heads/__init__.py" for part in ("config", "model")}
    assert found == {"mobile_vla/cli.py", "mobile_vla/training/drives.py"} | heads

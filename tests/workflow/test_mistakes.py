"""Mistakes of the user's: words that say what to do, and no traceback."""

import pytest

from support.project import SMALL, Project
from support.recorded import write_folder

RECORDED = SMALL.replace(
    "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n",
    '    kind: recorded\n    path: ./episodes\n    pattern: "*.h5"\n',
)
HUB = "microsoft/kosmos-2-patch14-224"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("mistakes") / "project")


def refused(project, *arguments):
    finished = project.snakemake(*(arguments or ("-n",)))
    assert finished.status != 0
    assert "Traceback" not in finished.output
    assert "Exception" not in finished.output
    return finished.output


def test_all_mistakes_in_the_config_are_listed(project):
    project.config = SMALL.replace("window: 3", "windw: 3") + "reprot: {}\n"
    output = refused(project)
    assert "config.yaml:15 (defaults.windw): unknown key 'windw'" in output
    assert "did you mean 'window'?" in output
    assert "did you mean 'report'?" in output


def test_broken_yaml_is_named_with_its_line(project):
    project.config = SMALL + "  x: [\n"
    line = len(SMALL.splitlines()) + 2  # the parser looks for the rest on the next one
    assert f"config.yaml:{line}: not readable as YAML" in refused(project)


def test_a_setting_on_the_command_line_is_checked_too(project):
    project.config = SMALL
    assert "need 103 frames" in refused(project, "-n", "--config", "defaults={window: 99}")


def test_a_second_config_file_is_checked_and_named(project):
    project.config = SMALL
    (project.folder / "more.yaml").write_text("experiments:\n  big: {window: -1}\n")
    output = refused(project, "-n", "--configfile", "config.yaml", "more.yaml")
    assert "more.yaml:2 (experiments.big.window): found -1" in output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("path: ./nowhere", "./nowhere is no folder"),
        ("path: .", "matches the pattern '*.h5'"),
        ('path: .\n    pattern: "/data/*.h5"', "expected a pattern below `path`"),
        ('path: .\n    pattern: ""', "expected a pattern below `path`"),
    ],
)
def test_a_folder_of_episodes_that_is_not_there(project, line, words):
    project.config = RECORDED.replace('path: ./episodes\n    pattern: "*.h5"', line)
    assert words in refused(project)


TOO_LARGE = SMALL.replace("lora: {r: 4}", "lora: {r: 4}\n    head: {hidden_size: 4000}")
SCORES = "results/experiments/{}/seed0/evaluation.json"


@pytest.mark.parametrize("target", ["results/report.html", SCORES.format("lora")])
def test_what_does_not_fit_into_memory_is_refused_where_it_would_be_trained(project, target):
    project.config = "memory_limit_gb: 0.5\n" + TOO_LARGE
    output = refused(project, "-n", target)
    assert "config.yaml:1 (memory_limit_gb): a training step of 'lora' takes at least" in output
    project.config = TOO_LARGE
    output = refused(project, "-n", target, "--config", "memory_limit_gb=0.5")
    assert "--config (memory_limit_gb): a training step of 'lora' takes at least" in output


@pytest.mark.parametrize(
    ("target", "trainings"),
    [("audit", 0), ("results/datasets/demo/split.json", 0), (SCORES.format("head_only"), 1)],
)
def test_a_training_that_does_not_fit_stops_no_other_plan(project, target, trainings):
    project.config = "memory_limit_gb: 0.5\n" + TOO_LARGE
    assert project.plan(target).get("train", 0) == trainings


@pytest.mark.parametrize(
    "target",
    [
        "results/experiments/lorra/timing.html",
        "results/datasets/elsewhere/audit.html",
        "results/features/demo/tiny/image_embeds-00000000.npy",
    ],
)
def test_a_target_that_the_config_does_not_name(project, target):
    project.config = SMALL
    finished = project.snakemake("-n", target)
    assert finished.status != 0 and "MissingRuleException" in finished.output
    assert "KeyError" not in finished.output


def test_a_dataset_is_audited_before_any_experiment_uses_it(project):
    write_folder(project.folder / "episodes", 2)
    mine = "  mine: {kind: recorded, path: ./episodes}\nbackbones:"
    project.config = SMALL.replace("backbones:", mine)
    audited = {"audit_dataset": 1, "audit_experiments": 1}
    assert project.plan("results/datasets/mine/audit.html") == {"ingest": 2, **audited}
    project.edit("config.yaml", "dataset: demo", "dataset: mine")
    assert project.plan("audit") == {"ingest": 2, **audited, "audit": 1}, "and simulates no demo"


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (f"{{checkpoint: {HUB}, revision: {'a' * 40}}}", "hf download"),
        ("{checkpoint: ./nowhere}", "hf download"),
        ("{checkpoint: ./workflow}", "holds no weights"),
    ],
)
def test_a_checkpoint_that_is_not_there_says_how_to_bring_it(project, backbone, words, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    project.config = SMALL.replace("defaults:", f"  real: {backbone}\ndefaults:")
    finished = project.snakemake("--cores", "1", "results/backbones/real/backbone.json")
    assert finished.status != 0
    assert "Traceback" not in finished.output
    assert words in finished.output
    assert "config.yaml (backbones.real.checkpoint)" in finished.output


def test_fewer_cores_than_threads_are_refused(copied):
    copied.edit("config.yaml", "precision: fp32", "precision: fp32, threads: 2")
    target = "results/experiments/head_only/seed0/metrics.csv"
    finished = copied.snakemake("--cores", "1", target)
    assert finished.status != 0
    assert "computes with 2 threads, and the job was given 1 core" in finished.output
    assert "Traceback" not in finished.output


def test_what_was_trained_with_more_memory_is_not_refused(copied):
    copied.config = "memory_limit_gb: 0.00001\n" + copied.config
    assert copied.plan() == {}
    (copied.folder / "results/experiments/lora/seed0/training_results.json").unlink()
    assert "1 (memory_limit_gb): a training step of 'lora'" in refused(copied, "-n")

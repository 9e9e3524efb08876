"""GPUs of one machine: as many runs at a time as there are, without a flag."""

import re

import pytest

TARGETS = [f"results/experiments/{name}/seed0/metrics.csv" for name in ("lora", "head_only")]


@pytest.fixture
def project(copied):
    """A project both of whose experiments want to be trained again."""
    copied.edit("config.yaml", "learning_rate: 1e-3", "learning_rate: 2e-3")
    return copied


def order(project, gpus, *arguments):
    """Train both, and return when trainings began and ended, in their order."""
    project.environment = {**project.environment, "CUDA_VISIBLE_DEVICES": gpus}
    output = project.build(*TARGETS, *arguments).output
    events = re.findall(r"^localrule train:|^Finished jobid: \d+ \(Rule: train\)", output, re.M)
    return ["begin" if event.startswith("localrule") else "end" for event in events]


def test_with_one_gpu_runs_queue(project):
    assert order(project, "0") == ["begin", "end", "begin", "end"]


def test_with_two_gpus_two_runs_train(project):
    assert order(project, "0,1") == ["begin", "begin", "end", "end"]


def test_without_a_gpu_the_cores_decide_and_the_log_says_on_what_it_computes(project):
    assert order(project, "") == ["begin", "begin", "end", "end"]
    log = (project.folder / "results/logs/train/lora/seed0.log").read_text()
    assert re.search(r"^computes on cpu \(.+\) with 1 thread$", log, re.M)


def test_the_limit_can_be_given_as_well(project):
    assert order(project, "0,1", "--resources", "gpu=1") == ["begin", "end", "begin", "end"]
